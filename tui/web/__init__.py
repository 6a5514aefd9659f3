"""The console in a browser: a server for the same machine, and one process of the console for each tab."""

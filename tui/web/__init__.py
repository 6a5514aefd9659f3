"""The console in a browser: a server for the same machine, and one console process for each tab."""

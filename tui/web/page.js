// The keys are for the console from the beginning, without a click into it.
addEventListener("load", () => document.querySelector(".xterm-helper-textarea")?.focus());

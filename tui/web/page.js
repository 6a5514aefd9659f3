// The first message of the socket proves that this page may have the console: with the token of the printed address, or
// with the session that was given for it. Both are of this origin alone, its port included.
const SESSION = "jobq-session";
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) history.replaceState(null, "", location.pathname + location.search);

const PlainWebSocket = window.WebSocket;

window.WebSocket = class extends PlainWebSocket {
  constructor(url) {
    super(url);
    this.addEventListener("open", () => {
      this.send(JSON.stringify(["open", { token, session: sessionStorage.getItem(SESSION) }]));
    });
    this.addEventListener("message", ({ data }) => {
      const [kind, value] = typeof data === "string" ? JSON.parse(data) : [];
      if (kind !== "open") return;
      sessionStorage.setItem(SESSION, value.session);
      document.title = value.title;
    });
    this.addEventListener("close", ({ reason }) => {
      if (reason) document.querySelector("#reason").textContent = reason;
    });
  }
};

// The console gets the keys from the beginning, without a click into it.
addEventListener("load", () => document.querySelector(".xterm-helper-textarea")?.focus());
// An address that is pasted into an open page changes only what is behind the #, which loads nothing.
addEventListener("hashchange", () => location.reload());

"use strict";

// Uploads, "select all", and scrolling to the end of a log, which htmx does not do. Every page works without this script.
(() => {
  const csrf = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  // --- uploads: a field for file IDs becomes a drop zone ------------------

  class Drop {
    constructor(box) {
      this.box = box;
      this.field = box.querySelector("input, textarea");
      this.several = this.field.tagName === "TEXTAREA";
      this.list = element("ul", { className: "files" });
      this.input = element("input", { type: "file", multiple: this.several, hidden: true, tabIndex: -1 });
      this.button = element("button", { type: "button", className: "quiet", textContent: this.several ? "Choose files" : "Choose a file" });
      this.status = element("span", { className: "hidden", role: "status" });
      this.button.setAttribute("aria-describedby", this.field.getAttribute("aria-describedby") ?? "");
      const label = document.querySelector(`label[for="${CSS.escape(this.field.id)}"]`);
      if (label) {
        this.button.id = `${this.field.id}-choose`;
        label.htmlFor = this.button.id;
        this.button.setAttribute("aria-label", `${this.button.textContent}: ${label.textContent.trim()}`);
      }
      const pick = element("div", { className: "pick" }, this.button, element("span", { textContent: this.several ? "or drop them here" : "or drop it here" }), this.status);
      box.append(this.list, pick, this.input);
      box.dataset.ready = "";
      this.button.addEventListener("click", () => this.input.click());
      this.input.addEventListener("change", () => this.take(this.input.files));
      for (const name of ["dragenter", "dragover"]) box.addEventListener(name, (event) => this.over(event, true));
      for (const name of ["dragleave", "drop"]) box.addEventListener(name, (event) => this.over(event, false));
      box.addEventListener("drop", (event) => this.take(event.dataTransfer.files));
      for (const id of this.ids()) this.show(this.field.dataset.filename || id, id);
    }

    over(event, is) {
      event.preventDefault();
      this.box.classList.toggle("over", is);
    }

    ids() {
      return this.field.value.split("\n").map((line) => line.trim()).filter(Boolean);
    }

    take(files) {
      const chosen = this.several ? [...files] : [...files].slice(0, 1);
      if (!this.several && chosen.length) {
        this.field.value = "";
        this.list.replaceChildren();
      }
      for (const file of chosen) this.send(file);
      this.input.value = "";
    }

    send(file) {
      const bar = element("progress", { max: file.size || 1, value: 0 });
      bar.setAttribute("aria-label", `Upload of ${file.name}`);
      const row = element("li", {}, element("span", { textContent: file.name }), bar);
      this.list.append(row);
      const request = new XMLHttpRequest();
      request.open("POST", this.box.dataset.upload);
      request.setRequestHeader("X-CSRF-Token", csrf());
      request.upload.addEventListener("progress", (event) => { bar.value = event.loaded; });
      request.addEventListener("loadend", () => this.sent(request, file, row));
      const body = new FormData();
      body.append("file", file);
      request.send(body);
      this.pending(1);
    }

    sent(request, file, row) {
      this.pending(-1);
      row.remove();
      const answer = (() => { try { return JSON.parse(request.responseText); } catch { return {}; } })();
      if (request.status === 201) {
        this.field.value = [...(this.several ? this.ids() : []), answer.file_id].join("\n");
        this.show(file.name, answer.file_id);
        this.status.textContent = `${file.name} has been uploaded.`;
      } else {
        const why = answer.detail ?? "The upload was interrupted. Try again.";
        this.list.append(element("li", { className: "error", role: "alert", textContent: `${file.name}: ${why}` }));
      }
    }

    pending(change) {
      const form = this.field.form;
      form.dataset.uploads = Number(form.dataset.uploads ?? 0) + change;
      for (const button of form.querySelectorAll('button[name="do"]')) button.disabled = Number(form.dataset.uploads) > 0;
    }

    show(name, id) {
      const drop = element("button", { type: "button", className: "quiet", textContent: "Remove" });
      drop.setAttribute("aria-label", `Remove ${name}`);
      const row = element("li", {}, element("span", { textContent: name }), drop);
      drop.addEventListener("click", () => {
        this.field.value = this.ids().filter((each) => each !== id).join("\n");
        row.remove();
        this.button.focus();
      });
      this.list.append(row);
    }
  }

  for (const box of document.querySelectorAll(".drop[data-upload]")) new Drop(box);

  // --- lists ------------------------------------------------------------------------

  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-pick-all]")) return;
    for (const box of event.target.form.querySelectorAll('input[name="job_id"]')) box.checked = event.target.checked;
  });

  // --- live updates -------------------------------------------------------------------

  // A hidden page does not poll.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const polls = event.detail.elt.getAttribute("hx-trigger")?.startsWith("every");
    if (polls && document.hidden) event.preventDefault();
  });

  // After the session has ended, reload the whole page: htmx would put the sign-in page in the place of a part.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (new URL(event.detail.xhr.responseURL, location.href).pathname === "/sign-in") {
      event.preventDefault();
      location.reload();
    }
  });

  // A log that is scrolled to its end stays there.
  const log = document.getElementById("log");
  if (log) {
    let atEnd = true;
    log.addEventListener("scroll", () => { atEnd = log.scrollTop + log.clientHeight > log.scrollHeight - 24; });
    new MutationObserver(() => { if (atEnd) log.scrollTop = log.scrollHeight; }).observe(log, { childList: true });
    log.scrollTop = log.scrollHeight;
  }
})();

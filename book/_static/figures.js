/* Buttons that copy a citation or a command. Without this file the same texts can be selected and downloaded. */
(function () {
  "use strict";

  function legacy(text) {
    const area = document.createElement("textarea");
    area.value = text;
    area.setAttribute("readonly", "");
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch (error) {
      return legacy(text);  // a page opened from a folder may not use the clipboard in every browser
    }
  }

  function start() {
    const blocks = document.querySelectorAll(".elbo-copy");
    if (!blocks.length) return;
    const status = document.createElement("div");
    status.className = "elbo-aside";
    status.setAttribute("role", "status");
    (document.querySelector("article.bd-article") || document.body).append(status);
    for (const block of blocks) {
      const name = block.dataset.copy;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "copy";
      button.setAttribute("aria-label", "copy: " + name);
      button.addEventListener("click", async () => {
        const done = await copy(block.querySelector("pre").textContent);
        if (!done) getSelection().selectAllChildren(block.querySelector("pre"));
        button.textContent = done ? "copied" : "selected";
        status.textContent = done ? name + " copied" : name + " selected, press Ctrl C";
        button.focus();
        setTimeout(() => { button.textContent = "copy"; status.textContent = ""; }, 2000);
      });
      block.querySelector("p").append(button);
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();

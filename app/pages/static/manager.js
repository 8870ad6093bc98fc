// Copies a link when its button is pressed, and says so to eyes and screen readers alike.
"use strict";
const said = document.querySelector(".said");
let forget;

async function write(text, source) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS, or where the browser won't: by way of a selection.
    getSelection().selectAllChildren(source);
    if (!document.execCommand("copy")) throw new Error("not copied");
    getSelection().removeAllRanges();
  }
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await write(source.textContent, source);
      said.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      said.textContent = "Press and hold the link to copy it";
    }
    clearTimeout(forget);
    forget = setTimeout(() => { said.textContent = ""; }, 3000);
  });
}

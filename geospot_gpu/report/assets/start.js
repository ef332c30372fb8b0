// What begins when the page is there.
{
  const THEMES = [["auto", "as the system"], ["light", "light"], ["dark", "dark"]];

  const themed = (name) => {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    G.repaintAll();
  };

  const copied = async (button) => {
    const text = G.data.command;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = G.el("textarea", {}, text);
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy the command"; }, 2000);
  };

  const start = async () => {
    const copy = G.button("copy-command", "copy the command", "copy the command that makes this page again", () => copied(copy));
    document.getElementById("tools").append(G.el("div", { class: "bar" }, G.select("theme", "page", THEMES, "auto", themed), copy));
    G.enhanceTables();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", G.repaintAll);
    let before = null;
    window.addEventListener("beforeprint", () => { // paper is white
      before = document.documentElement.dataset.theme ?? "auto";
      themed("light");
    });
    window.addEventListener("afterprint", () => themed(before ?? "auto"));
    for (const host of document.querySelectorAll("[data-part]")) {
      await G.parts[host.dataset.part](host);
    }
    document.documentElement.dataset.ready = "yes";
  };
  start();
}

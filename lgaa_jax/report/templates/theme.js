// Before anything is painted: the theme that was chosen in this browser.
(() => {
  let theme = "";
  try {
    theme = localStorage.getItem("lgaa-theme") || "";
  } catch {
    // Storage may be forbidden; then the page follows the system.
  }
  if (theme) document.documentElement.dataset.theme = theme;
})();

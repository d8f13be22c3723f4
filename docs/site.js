// Who has no mouse can scroll wide tables and code, and hears what the search is.
addEventListener("load", () => setTimeout(() => {
  document.querySelectorAll(".md-typeset__scrollwrap, pre > code").forEach((wide) => (wide.tabIndex = 0));
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
}));

"use strict";
(function () {
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  const ink = dark
    ? { text: "#e6edf3", soft: "#a9b4c0", back: "#0f1419", side: "#161c23", line: "#3a424c", link: "#79b8ff", panel: "#0a0e12" }
    : { text: "#1b1f24", soft: "#57606a", back: "#ffffff", side: "#f6f8fa", line: "#d0d7de", link: "#0550ae", panel: "#1b2733" };
  const shade = (back, front) => ({ color: front, backgroundColor: back, tabTextColor: front });
  const responses = {
    success: shade("#10281a", "#7ee2a8"),
    error: shade("#2d1416", "#ff9a94"),
    redirect: shade("#2a230f", "#f0c674"),
    info: shade("#10222d", "#79b8ff"),
  };
  const font = "system-ui, sans-serif";
  const mono = "ui-monospace, monospace";
  Redoc.init(
    "/openapi.json",
    {
      hideDownloadButton: false,
      nativeScrollbars: true,
      pathInMiddlePanel: true,
      sortRequiredPropsFirst: true,
      expandResponses: "200,201",
      theme: {
        colors: {
          primary: { main: ink.link },
          text: { primary: ink.text, secondary: ink.soft },
          border: { dark: ink.line, light: ink.line },
          gray: { 50: ink.side, 100: ink.side },
          ...(dark ? { responses } : {}),
        },
        schema: { nestedBackground: ink.side, linesColor: ink.line, typeNameColor: ink.soft, typeTitleColor: ink.text, requireLabelColor: dark ? "#ff9a94" : "#b42318" },
        sidebar: { backgroundColor: ink.side, textColor: ink.text, activeTextColor: ink.link },
        rightPanel: { backgroundColor: ink.panel, textColor: "#ffffff" },
        typography: {
          fontFamily: font,
          headings: { fontFamily: font },
          code: { fontFamily: mono, color: dark ? "#ffb3ab" : "#9a1b12", backgroundColor: dark ? "#232b34" : "#f0f2f4" },
          links: { color: ink.link, visited: ink.link, hover: ink.link },
        },
      },
    },
    document.getElementById("reference"),
  );
})();

// The page's language, for all scripts and for Gradio's own words; the server puts it in (pipeline/studio/language.py).
// Another choice is kept in a cookie for a year, and the page is read again.
window.Rushes = window.Rushes || {};
{
  const YEAR_SECONDS = 31536000;
  const tag = "LANGUAGE";
  Object.defineProperties(navigator, {
    language: { get: () => tag, configurable: true },
    languages: { get: () => [tag], configurable: true },
  });
  // A frame of another site keeps cookies only apart from those of the site itself.
  const where = location.protocol === "https:" ? "SameSite=None; Secure; Partitioned" : "SameSite=Lax";
  Object.assign(window.Rushes, {
    language: tag.slice(0, 2),
    speak: (language) => {
      document.cookie = `rushes-language=${language}; path=/; max-age=${YEAR_SECONDS}; ${where}`;
      location.reload();
    },
  });
}

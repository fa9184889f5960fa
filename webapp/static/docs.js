"use strict";

// BaseLayout: the standalone one has a bar for the addresses of other documents.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis],
  // No badge: it would send the document's address to a validator on the Internet.
  validatorUrl: null,
});

"use strict";

// BaseLayout: the standalone layout has a bar to load other documents.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis],
  // No badge: it would send this document's address to an online validator.
  validatorUrl: null,
  // Requests from this page use the session cookie, and changes need the CSRF token too.
  requestInterceptor: (request) => {
    const token = document.querySelector('meta[name="csrf-token"]')?.content;
    if (token && new URL(request.url, location).origin === location.origin) request.headers["X-CSRF-Token"] = token;
    return request;
  },
});

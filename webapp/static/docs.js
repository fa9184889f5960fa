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
  // Whoever has signed in tries things out with the session's cookie, which changes nothing without this.
  requestInterceptor: (request) => {
    const token = document.querySelector('meta[name="csrf-token"]')?.content;
    if (token && new URL(request.url, location).origin === location.origin) request.headers["X-CSRF-Token"] = token;
    return request;
  },
});

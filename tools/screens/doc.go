// Command screens drives a headless Chromium through the hosted cashier of a
// running stack (starter dev): every product on the size of screen it is for, paid,
// declined, left and come back from, expired. It checks the screen that the payer
// ends on and what the API says of the payment, and writes a picture of every
// screen on the way. One course is an operator's, who reads payloads in Temporal's
// Web UI.
//
// It plays the tenant by the public API and the payer by a browser and the
// sandbox's own pages; it knows nothing of the platform's inside.
package main

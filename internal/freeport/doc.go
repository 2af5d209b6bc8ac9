// Package freeport owns the choice of ports for servers that tests and tools
// start. A port that the kernel hands out for ":0" and that is closed again may
// belong to another process a moment later, as its listener or as the near end of
// an outgoing connection; a port reserved here may not.
//
// It may not be used by what runs in production, where ports are configured.
package freeport

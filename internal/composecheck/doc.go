// Command composecheck checks docker-compose.temporal.yml where there is no
// Docker: it reads the file, feeds each service's variables to the code that
// reads them, and runs the same version of the Temporal server, the same schema
// script and the same migrate command with the file's settings on a local
// PostgreSQL. Only addresses, ports and paths are replaced. It owns nothing
// else and must run in the root of a checkout.
package main

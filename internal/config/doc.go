// Package config owns the settings of every process: one typed struct per
// kind of process, read from SUANPAN_* variables, validated once at start. A
// variable it does not know refuses the start and names the nearest known one;
// production refuses what exists only for development.
//
// It may not read the environment itself: the mains pass it in. Secrets are
// files, so that they appear neither in `ps` nor in a crash report.
package config

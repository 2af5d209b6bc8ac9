package main

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/suanpan/suanpan/internal/config"
)

// compose is what of a compose file matters here.
type compose struct {
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
}

type service struct {
	Image       string            `yaml:"image"`
	Build       map[string]string `yaml:"build"`
	Entrypoint  []string          `yaml:"entrypoint"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	DependsOn   any               `yaml:"depends_on"`
}

func parse(content []byte) (compose, error) {
	var c compose
	err := yaml.Unmarshal(content, &c)
	return c, err
}

// environ is a service's environment with some values replaced.
func (s service) environ(replace map[string]string) []string {
	var lines []string
	for name, value := range s.Environment {
		if other, ok := replace[name]; ok {
			value = other
		}
		lines = append(lines, name+"="+value)
	}
	sort.Strings(lines)
	return lines
}

// check finds what is wrong with the file without running anything.
func (c compose) check() error {
	errs := []error{c.checkReferences()}
	for name, load := range map[string]func([]string) error{
		"migrate": func(e []string) error { _, err := config.LoadTool(e); return err },
		"seed":    func(e []string) error { _, err := config.LoadAPI(e); return err },
		"api":     func(e []string) error { _, err := config.LoadAPI(e); return err },
		"worker":  func(e []string) error { _, err := config.LoadWorker(e); return err },
	} {
		s, ok := c.Services[name]
		if !ok {
			errs = append(errs, fmt.Errorf("there is no service %s", name))
			continue
		}
		if err := load(s.environ(nil)); err != nil {
			errs = append(errs, fmt.Errorf("service %s: %w", name, err))
		}
	}
	for _, name := range []string{"postgres", "temporal-schema", "temporal", "temporal-ui", "sandbox"} {
		if _, ok := c.Services[name]; !ok {
			errs = append(errs, fmt.Errorf("there is no service %s", name))
		}
	}
	return errors.Join(errs...)
}

// checkReferences finds names that nothing in the file or the Dockerfile has.
func (c compose) checkReferences() error {
	dockerfile, err := os.ReadFile("Dockerfile")
	if err != nil {
		return err
	}
	var errs []error
	for name, s := range c.Services {
		for _, other := range dependencies(s.DependsOn) {
			if _, ok := c.Services[other]; !ok {
				errs = append(errs, fmt.Errorf("service %s depends on %s, which is none", name, other))
			}
		}
		for _, mount := range s.Volumes {
			volume, _, _ := strings.Cut(mount, ":")
			if _, ok := c.Volumes[volume]; !ok {
				errs = append(errs, fmt.Errorf("service %s mounts %s, which is no volume", name, volume))
			}
		}
		target := s.Build["target"]
		if target != "" && !strings.Contains(string(dockerfile), " AS "+target+"\n") {
			errs = append(errs, fmt.Errorf("service %s is built from %s, which the Dockerfile lacks", name, target))
		}
	}
	return errors.Join(errs...)
}

func dependencies(value any) []string {
	var names []string
	switch v := value.(type) {
	case []any:
		for _, name := range v {
			names = append(names, fmt.Sprint(name))
		}
	case map[string]any:
		for name := range v {
			names = append(names, name)
		}
	}
	return names
}

// Prints the schemas of the built-in kinds, and of all they are made of, from the OpenAPI documents that come with
// the source of Kubernetes (Apache-2.0), as definitions.json:
//
//	go run . > definitions.json
//
// It is one JSON object with a definition on each line, sorted by name, so that a new release shows as a readable
// difference, and so that a line can be served as it is.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

const release = "v1.36.0"

// What the server serves: a group version, then its kinds.
var served = []string{
	"v1 Binding ConfigMap Endpoints Event Namespace Node PersistentVolume PersistentVolumeClaim Pod Secret Service ServiceAccount",
	"apps/v1 DaemonSet Deployment ReplicaSet StatefulSet",
	"autoscaling/v1 Scale",
	"autoscaling/v2 HorizontalPodAutoscaler",
	"batch/v1 Job",
	"coordination.k8s.io/v1 Lease",
	"discovery.k8s.io/v1 EndpointSlice",
	"events.k8s.io/v1 Event",
	"networking.k8s.io/v1 Ingress IngressClass NetworkPolicy",
	"policy/v1 Eviction PodDisruptionBudget",
	"rbac.authorization.k8s.io/v1 ClusterRole ClusterRoleBinding Role RoleBinding",
	"storage.k8s.io/v1 StorageClass",
	"apiextensions.k8s.io/v1 CustomResourceDefinition",
	"authentication.k8s.io/v1 SelfSubjectReview TokenRequest TokenReview",
	"authorization.k8s.io/v1 LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
}

type object = map[string]any

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// All definitions of the release, by name.
func definitions() object {
	out, err := exec.Command("go", "mod", "download", "-json", "k8s.io/kubernetes@"+release).Output()
	check(err)
	var module struct{ Dir string }
	check(json.Unmarshal(out, &module))
	files, err := filepath.Glob(filepath.Join(module.Dir, "api/openapi-spec/v3/*.json"))
	check(err)
	all := object{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(err)
		var document struct{ Components struct{ Schemas object } }
		check(json.Unmarshal(text, &document))
		for name, schema := range document.Components.Schemas {
			all[name] = schema
		}
	}
	return all
}

// Calls found with the name of every definition that a schema refers to. A property may be called "$ref", too.
func references(schema any, found func(string)) {
	switch schema := schema.(type) {
	case object:
		for key, value := range schema {
			if target, is := value.(string); is && key == "$ref" {
				found(target[strings.LastIndex(target, "/")+1:])
			} else {
				references(value, found)
			}
		}
	case []any:
		for _, value := range schema {
			references(value, found)
		}
	}
}

func main() {
	all := definitions()
	byKind := map[string]string{}
	for name, schema := range all {
		kinds, _ := schema.(object)["x-kubernetes-group-version-kind"].([]any)
		for _, kind := range kinds {
			kind := kind.(object)
			version := strings.TrimPrefix(fmt.Sprintf("%s/%s", kind["group"], kind["version"]), "/")
			byKind[version+" "+kind["kind"].(string)] = name
		}
	}
	needed := map[string]bool{}
	var need func(string)
	need = func(name string) {
		if !needed[name] {
			needed[name] = true
			references(all[name], need)
		}
	}
	for _, line := range served {
		words := strings.Fields(line)
		for _, kind := range words[1:] {
			name, known := byKind[words[0]+" "+kind]
			if !known {
				check(fmt.Errorf("%s has no %s %s", release, words[0], kind))
			}
			need(name)
		}
	}
	names := []string{}
	for name := range needed {
		names = append(names, name)
	}
	sort.Strings(names)
	lines := []string{}
	for _, name := range names {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		check(encoder.Encode(all[name]))
		lines = append(lines, fmt.Sprintf("%q:%s", name, strings.TrimSpace(text.String())))
	}
	fmt.Printf("{\n%s\n}\n", strings.Join(lines, ",\n"))
}

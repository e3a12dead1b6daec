// Prints the protobuf form of the built-in kinds, read off the tags of their Go types, as schema.txt:
//
//	go run . > schema.txt
//
// A line "= API_VERSION KIND MESSAGE" names what an envelope holds. A message is its name and its fields:
// number, JSON name ("-": its fields stand in the object around it), type ("[]" list, "{}" map), and "?"
// when a zero value is left out of JSON.
package main

import (
	"fmt"
	"reflect"
	"sort"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	authnv1 "k8s.io/api/authentication/v1"
	authv1 "k8s.io/api/authorization/v1"
	asv1 "k8s.io/api/autoscaling/v1"
	asv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discv1 "k8s.io/api/discovery/v1"
	evv1 "k8s.io/api/events/v1"
	netv1 "k8s.io/api/networking/v1"
	polv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	stv1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var special = map[string]string{
	"k8s.io/apimachinery/pkg/apis/meta/v1.Time":       "time",
	"k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime":  "microtime",
	"k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1":   "raw",
	"k8s.io/apimachinery/pkg/api/resource.Quantity":   "quantity",
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString": "intorstring",
	"k8s.io/apimachinery/pkg/runtime.RawExtension":    "raw",
}

var lines = map[string][]string{}

func name(t reflect.Type) string {
	parts := strings.Split(t.PkgPath(), "/")
	return strings.Join(parts[len(parts)-2:], "/") + "." + t.Name()
}

func kind(t reflect.Type) (string, bool) { // type text, is non-pointer scalar
	if s, ok := special[t.PkgPath()+"."+t.Name()]; ok {
		return s, false
	}
	switch t.Kind() {
	case reflect.Pointer:
		k, _ := kind(t.Elem())
		return k, false
	case reflect.String:
		return "string", true
	case reflect.Bool:
		return "bool", true
	case reflect.Int32, reflect.Int64:
		return "int", true
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes", false
		}
		if _, ok := reflect.PointerTo(t).MethodByName("Unmarshal"); ok {
			return "items", false
		}
		k, _ := kind(t.Elem())
		return "[]" + k, false
	case reflect.Map:
		k, _ := kind(t.Elem())
		return "{}" + k, false
	case reflect.Struct:
		walk(t)
		return name(t), false
	}
	panic(t.String() + " " + t.Kind().String())
}

func walk(t reflect.Type) {
	n := name(t)
	if _, ok := lines[n]; ok {
		return
	}
	lines[n] = []string{}
	out := []string{}
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		pb := f.Tag.Get("protobuf")
		if pb == "" || pb == "-" {
			if f.Type.Name() != "TypeMeta" {
				panic(n + "." + f.Name)
			}
			continue
		}
		num := strings.Split(pb, ",")[1]
		js := strings.Split(f.Tag.Get("json"), ",")
		k, scalar := kind(f.Type)
		nm := js[0]
		for _, o := range js[1:] {
			if o == "inline" {
				nm = "-"
			}
			if o == "omitempty" && scalar {
				k += " ?"
			}
		}
		if nm == "" {
			nm = "-"
		}
		out = append(out, fmt.Sprintf("  %s %s %s", num, nm, k))
	}
	lines[n] = out
}

func main() {
	roots := []struct {
		av string
		o  any
	}{
		{"v1", corev1.ConfigMap{}}, {"v1", corev1.Endpoints{}}, {"v1", corev1.Event{}}, {"v1", corev1.Namespace{}}, {"v1", corev1.Node{}},
		{"v1", corev1.PersistentVolumeClaim{}}, {"v1", corev1.PersistentVolume{}}, {"v1", corev1.Pod{}}, {"v1", corev1.Secret{}},
		{"v1", corev1.ServiceAccount{}}, {"v1", corev1.Service{}},
		{"apps/v1", appsv1.DaemonSet{}}, {"apps/v1", appsv1.Deployment{}}, {"apps/v1", appsv1.ReplicaSet{}}, {"apps/v1", appsv1.StatefulSet{}},
		{"autoscaling/v1", asv1.Scale{}}, {"autoscaling/v2", asv2.HorizontalPodAutoscaler{}},
		{"batch/v1", batchv1.CronJob{}}, {"batch/v1", batchv1.Job{}},
		{"coordination.k8s.io/v1", coordv1.Lease{}}, {"discovery.k8s.io/v1", discv1.EndpointSlice{}}, {"events.k8s.io/v1", evv1.Event{}},
		{"networking.k8s.io/v1", netv1.IngressClass{}}, {"networking.k8s.io/v1", netv1.Ingress{}}, {"networking.k8s.io/v1", netv1.NetworkPolicy{}},
		{"policy/v1", polv1.PodDisruptionBudget{}},
		{"rbac.authorization.k8s.io/v1", rbacv1.ClusterRoleBinding{}}, {"rbac.authorization.k8s.io/v1", rbacv1.ClusterRole{}},
		{"rbac.authorization.k8s.io/v1", rbacv1.RoleBinding{}}, {"rbac.authorization.k8s.io/v1", rbacv1.Role{}},
		{"storage.k8s.io/v1", stv1.StorageClass{}},
		{"authorization.k8s.io/v1", authv1.SelfSubjectAccessReview{}}, {"authorization.k8s.io/v1", authv1.SelfSubjectRulesReview{}},
		{"authorization.k8s.io/v1", authv1.SubjectAccessReview{}}, {"authorization.k8s.io/v1", authv1.LocalSubjectAccessReview{}},
		{"authentication.k8s.io/v1", authnv1.SelfSubjectReview{}},
		{"meta.k8s.io/v1", metav1.DeleteOptions{}},
	}
	for _, r := range roots {
		t := reflect.TypeOf(r.o)
		walk(t)
		fmt.Printf("= %s %s %s\n", r.av, t.Name(), name(t))
	}
	names := []string{}
	for n := range lines {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		fmt.Println(n)
		for _, l := range lines[n] {
			fmt.Println(l)
		}
	}
}

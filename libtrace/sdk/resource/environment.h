// SPDX-License-Identifier: Apache-2.0
// The variables that the resource and the propagators come from, read once: a program that calls
// setenv(3) later is not raced. OTEL_CONFIG_FILE and all that configures exporters is the business
// of the room above.

#pragma once

// Copies that live for ever; NULL: unset or empty (the specification takes them for the same).
struct environment {
    const char *propagators;         // OTEL_PROPAGATORS
    const char *service_name;        // OTEL_SERVICE_NAME
    const char *resource_attributes; // OTEL_RESOURCE_ATTRIBUTES
    const char *entities;            // OTEL_ENTITIES
    // Kubernetes' downward API. The first name that is set counts.
    const char *namespace_name; // K8S_NAMESPACE_NAME, K8S_POD_NAMESPACE, POD_NAMESPACE
    const char *pod_name;       // K8S_POD_NAME, POD_NAME
    const char *pod_uid;        // K8S_POD_UID, POD_UID
    const char *pod_ip;         // K8S_POD_IP, POD_IP
    const char *node_name;      // K8S_NODE_NAME, NODE_NAME
    const char *container_name; // K8S_CONTAINER_NAME, CONTAINER_NAME
    const char *cluster_name;   // K8S_CLUSTER_NAME
    const char *deployment;     // K8S_DEPLOYMENT_NAME
    const char *service_host;   // KUBERNETES_SERVICE_HOST: the process is in a cluster
};

const struct environment *environment_read(void);

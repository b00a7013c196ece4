// SPDX-License-Identifier: Apache-2.0
// One table of names and where they go. Written once, before anybody reads.

#include "libtrace/sdk/resource/environment.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 3 };

static struct environment environment;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct row {
    size_t to;
    const char *names[NAMES_MAX];
} rows[] = {
    {offsetof(struct environment, propagators), {"OTEL_PROPAGATORS"}},
    {offsetof(struct environment, service_name), {"OTEL_SERVICE_NAME"}},
    {offsetof(struct environment, resource_attributes), {"OTEL_RESOURCE_ATTRIBUTES"}},
    {offsetof(struct environment, entities), {"OTEL_ENTITIES"}},
    {offsetof(struct environment, namespace_name),
     {"K8S_NAMESPACE_NAME", "K8S_POD_NAMESPACE", "POD_NAMESPACE"}},
    {offsetof(struct environment, pod_name), {"K8S_POD_NAME", "POD_NAME"}},
    {offsetof(struct environment, pod_uid), {"K8S_POD_UID", "POD_UID"}},
    {offsetof(struct environment, pod_ip), {"K8S_POD_IP", "POD_IP"}},
    {offsetof(struct environment, node_name), {"K8S_NODE_NAME", "NODE_NAME"}},
    {offsetof(struct environment, container_name), {"K8S_CONTAINER_NAME", "CONTAINER_NAME"}},
    {offsetof(struct environment, cluster_name), {"K8S_CLUSTER_NAME"}},
    {offsetof(struct environment, deployment), {"K8S_DEPLOYMENT_NAME"}},
    {offsetof(struct environment, service_host), {"KUBERNETES_SERVICE_HOST"}},
};

static const char *value_of(const struct row *row)
{
    for (size_t i = 0; i < NAMES_MAX && row->names[i]; i++) {
        const char *value = getenv(row->names[i]);

        if (value && *value)
            return strdup(value);
    }
    return NULL;
}

static void read_all(void)
{
    const int saved = errno;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *value = value_of(&rows[i]);

        memcpy((char *)&environment + rows[i].to, &value, sizeof value);
    }
    errno = saved;
}

const struct environment *environment_read(void)
{
    pthread_once(&once, read_all);
    return &environment;
}

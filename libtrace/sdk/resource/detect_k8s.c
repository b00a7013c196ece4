// SPDX-License-Identifier: Apache-2.0
// k8s.*: what the pod's manifest hands down in variables, the namespace of the service account, and
// the pod's UID from the volumes that the kubelet mounts. Never asks the API server.

#include <stdlib.h>

#include "libtrace/sdk/resource/detect.h"

enum { FILE_BYTES = 256 * 1024 };

static void pod_uid(struct draft *draft, const char *root)
{
    char *room = malloc(FILE_BYTES);
    struct str text = room ? file_read(root, "/proc/self/mountinfo", room, FILE_BYTES) : STR("");
    struct str line;

    while (line_next(&text, &line)) {
        const struct str uid = pod_uid_of_mount(line);

        if (uid.len) {
            draft_text(draft, "k8s.pod.uid", uid);
            break;
        }
    }
    free(room);
}

struct tl_resource *detect_k8s(const char *root, const struct environment *environment)
{
    struct draft draft;
    char room[512];
    struct str name = str_of(environment->namespace_name);

    draft_init(&draft);
    if (name.len == 0)
        name = file_line(root, "/var/run/secrets/kubernetes.io/serviceaccount/namespace", room,
                         sizeof room);
    draft_text(&draft, "k8s.namespace.name", name);
    draft_text(&draft, "k8s.pod.name", str_of(environment->pod_name));
    draft_text(&draft, "k8s.pod.ip", str_of(environment->pod_ip));
    draft_text(&draft, "k8s.node.name", str_of(environment->node_name));
    draft_text(&draft, "k8s.container.name", str_of(environment->container_name));
    draft_text(&draft, "k8s.cluster.name", str_of(environment->cluster_name));
    draft_text(&draft, "k8s.deployment.name", str_of(environment->deployment));
    if (environment->pod_uid)
        draft_text(&draft, "k8s.pod.uid", str_of(environment->pod_uid));
    else if (draft.count || environment->service_host)
        pod_uid(&draft, root);
    return draft_finish(&draft);
}

// SPDX-License-Identifier: Apache-2.0
// What detectors find, on files of a folder and on this very process.

#include "tests/support/check.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libtrace/sdk/resource/detect.h"
#include "libtrace/sdk/stats.h"
#include "tests/sdk/resources.h"

static char root[] = "/tmp/throughline-resource-XXXXXX";

static void file_put(const char *path, const char *text)
{
    char whole[512];
    FILE *file;

    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        assert_true(snprintf(whole, sizeof whole, "%s%.*s", root, (int)(slash - path), path) > 0);
        assert_true(mkdir(whole, 0700) == 0 || errno == EEXIST);
    }
    assert_true(snprintf(whole, sizeof whole, "%s%s", root, path) > 0);
    file = fopen(whole, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
}

#define ID "3af1ef2f2f6f0e5b9a1c8e1b5c2d4e6f8091a2b3c4d5e6f708192a3b4c5d6e7f"

static void the_host_detector_reads_machine_id_and_os_release(void **state)
{
    struct tl_resource *resource;

    (void)state;
    file_put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    file_put("/etc/os-release", "NAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nPRETTY_NAME=Deb 12\n");
    resource = detect_host(root);
    assert_str(text_at(resource, "host.id"), "0123456789abcdef0123456789abcdef");
    assert_true(text_at(resource, "host.name").len > 0);
    assert_true(text_at(resource, "host.arch").len > 0);
    assert_str(text_at(resource, "os.type"), "linux");
    assert_str(text_at(resource, "os.name"), "Debian GNU/Linux");
    assert_str(text_at(resource, "os.version"), "12");
    assert_str(text_at(resource, "os.description"), "Deb 12");
    assert_string_equal(tl_resource_schema_url(resource), RESOURCE_SCHEMA_URL);
    tl_resource_unref(resource);
    file_put("/etc/machine-id", "uninitialized\n");
    file_put("/var/lib/dbus/machine-id", "fedcba9876543210fedcba9876543210");
    resource = detect_host(root);
    assert_str(text_at(resource, "host.id"), "fedcba9876543210fedcba9876543210");
    tl_resource_unref(resource);
}

static void the_process_detector_tells_no_arguments(void **state)
{
    struct tl_resource *resource = tl_resource_detect("process");
    struct tl_attribute attribute;
    struct str time = text_at(resource, "process.creation.time");

    (void)state;
    assert_true(tl_resource_at(resource, 0, &attribute));
    assert_string_equal(attribute.key, "process.pid");
    assert_int_equal(attribute.value.as.integer, getpid());
    assert_str(text_at(resource, "process.executable.name"), "detect_test");
    assert_true(text_at(resource, "process.command").len > 0);
    assert_int_equal(time.len, strlen("2026-11-25T01:02:03.000Z"));
    for (size_t i = 0; tl_resource_at(resource, i, &attribute); i++)
        assert_null(strstr(attribute.key, "args"));
    assert_string_equal(tl_resource_schema_url(resource), RESOURCE_SCHEMA_URL);
    tl_resource_unref(resource);
    resource = tl_resource_detect("process_command_args");
    assert_true(tl_resource_at(resource, 1, &attribute));
    assert_string_equal(attribute.key, "process.command_args");
    tl_resource_unref(resource);
}

static void containers_are_known_by_their_control_group(void **state)
{
    static const struct {
        const char *line;
        const char *id;
    } cases[] = {
        {"12:memory:/docker/" ID, ID},
        {"1:name=systemd:/kubepods/burstable/pod5f/" ID, ID},
        {"0::/system.slice/docker-" ID ".scope", ID},
        {"0::/kubepods.slice/kubepods-pod5f.slice/cri-containerd-" ID ".scope", ID},
        {"0::/../crio-" ID, ID},
        {"0::/machine.slice/libpod-" ID ".scope/container", ID},
        {"0::/kubepods-pod5f.slice:cri-containerd:" ID, ID},
        {"9:perf_event:/ecs/55091c13-b8cf-4801-b527-f4601742204d/"
         "432624d2150b349fe35ba397284dea78-1534331221",
         "432624d2150b349fe35ba397284dea78-1534331221"},
        {"0::/machine.slice/libpod-conmon-" ID ".scope", ""},
        {"0::/", ""},
        {"0::/user.slice/user-0.slice", ""},
        {"0::/docker/" ID "0", ""},
        {"0::/docker/3AF1ef2f2f6f0e5b9a1c8e1b5c2d4e6f8091a2b3c4d5e6f708192a3b4c5d6e7f", ""},
        {"", ""},
        {"::", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_str(container_id_of_cgroup(str_of(cases[i].line)), cases[i].id);
}

static void containers_are_known_by_what_is_mounted(void **state)
{
    static const struct {
        const char *line;
        const char *id;
    } cases[] = {
        {"718 694 254:1 /docker/containers/" ID "/hostname /etc/hostname rw - ext4 /dev/vda1 rw",
         ID},
        {"718 694 0:21 /containers/storage/overlay-containers/" ID
         "/userdata/hosts /etc/hosts rw - tmpfs t rw",
         ID},
        {"718 694 254:1 /containerd/io.containerd.grpc.v1.cri/sandboxes/" ID
         "/hostname /etc/hostname rw - ext4 d rw",
         ""},
        {"718 694 254:1 /docker/containers/" ID "/mounts /data rw - ext4 /dev/vda1 rw", ""},
        {"718", ""},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_str(container_id_of_mount(str_of(cases[i].line)), cases[i].id);
}

static void the_container_detector_reads_both_files(void **state)
{
    struct tl_resource *resource;

    (void)state;
    file_put("/proc/self/cgroup", "0::/\n");
    file_put("/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 d rw\n2 1 8:1 /docker/containers/" ID
                                     "/hosts /etc/hosts rw - ext4 d rw\n");
    resource = detect_container(root);
    assert_str(text_at(resource, "container.id"), ID);
    assert_string_equal(tl_resource_schema_url(resource), RESOURCE_SCHEMA_URL);
    tl_resource_unref(resource);
    file_put("/proc/self/mountinfo", "");
    resource = detect_container(root);
    assert_int_equal(count_of(resource), 0);
    assert_string_equal(tl_resource_schema_url(resource), "");
    tl_resource_unref(resource);
}

static void the_k8s_detector_reads_what_is_handed_down(void **state)
{
    const struct environment environment = {
        .pod_name = "web-1", .node_name = "node-a", .service_host = "10.0.0.1"};
    const struct environment nothing = {.pod_name = NULL};
    struct tl_resource *resource;

    (void)state;
    file_put("/var/run/secrets/kubernetes.io/serviceaccount/namespace", "prod");
    file_put("/proc/self/mountinfo",
             "2 1 8:1 /var/lib/kubelet/pods/3f6f1c7e-2a4b-4c1d-9e8f-0a1b2c3d4e5f/etc-hosts "
             "/etc/hosts rw - ext4 d rw\n");
    resource = detect_k8s(root, &environment);
    assert_str(text_at(resource, "k8s.pod.name"), "web-1");
    assert_str(text_at(resource, "k8s.node.name"), "node-a");
    assert_str(text_at(resource, "k8s.namespace.name"), "prod");
    assert_str(text_at(resource, "k8s.pod.uid"), "3f6f1c7e-2a4b-4c1d-9e8f-0a1b2c3d4e5f");
    assert_string_equal(tl_resource_schema_url(resource), RESOURCE_SCHEMA_URL);
    tl_resource_unref(resource);
    resource = detect_k8s("/nonexistent", &nothing);
    assert_int_equal(count_of(resource), 0);
    tl_resource_unref(resource);
}

static struct tl_resource *own_detect(void *self)
{
    return resource_of("own", self, NULL);
}

static void programs_add_detectors(void **state)
{
    const uint64_t before = stats_get(&sdk_stats, SDK_invalid_settings);
    struct tl_resource *resource;

    (void)state;
    tl_detector_add("own", own_detect, (void *)"mine");
    tl_detector_add("own", own_detect, (void *)"second");
    tl_detector_add("host", own_detect, (void *)"third");
    resource = tl_resource_detect("own");
    assert_str(text_at(resource, "own"), "mine");
    tl_resource_unref(resource);
    resource = tl_resource_detect("nobody's");
    assert_int_equal(count_of(resource), 0);
    assert_int_equal(stats_get(&sdk_stats, SDK_invalid_settings) - before, 1);
    tl_resource_unref(resource);
}

static int root_make(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int root_drop(void **state)
{
    static const char *const names[] = {
        "/etc/machine-id",
        "/etc/os-release",
        "/etc",
        "/proc/self/cgroup",
        "/proc/self/mountinfo",
        "/proc/self",
        "/proc",
        "/var/lib/dbus/machine-id",
        "/var/lib/dbus",
        "/var/lib",
        "/var/run/secrets/kubernetes.io/serviceaccount/namespace",
        "/var/run/secrets/kubernetes.io/serviceaccount",
        "/var/run/secrets/kubernetes.io",
        "/var/run/secrets",
        "/var/run",
        "/var",
        "",
    };
    char whole[512];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (snprintf(whole, sizeof whole, "%s%s", root, names[i]) > 0)
            remove(whole);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_detector_reads_machine_id_and_os_release),
        cmocka_unit_test(the_process_detector_tells_no_arguments),
        cmocka_unit_test(containers_are_known_by_their_control_group),
        cmocka_unit_test(containers_are_known_by_what_is_mounted),
        cmocka_unit_test(the_container_detector_reads_both_files),
        cmocka_unit_test(the_k8s_detector_reads_what_is_handed_down),
        cmocka_unit_test(programs_add_detectors),
    };

    return cmocka_run_group_tests(tests, root_make, root_drop);
}

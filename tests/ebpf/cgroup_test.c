// SPDX-License-Identifier: Apache-2.0
// Names of cgroups come from configurations: nothing but plain relative ones become paths.

#include "tests/support/check.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ebpf/probe/cgroup.h"

static void names_that_leave_the_mount_are_refused(void **state)
{
    static const char *const names[] = {"",   "..",  "/etc", "a/../b", "a//b",
                                        "a/", "./a", "a/.",  "/a",     "a/b/.."};
    char path[CGROUP_PATH_MAX];
    struct why why = {""};

    (void)state;
    if (cgroup_mount(path, &why) != 0) {
        print_message("SKIPPED: %s\n", why.text);
        skip();
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(cgroup_make(str_of(names[i]), path, &why), -EINVAL);
        assert_non_null(strstr(why.text, "is not the name of a cgroup"));
    }
}

static void the_mount_itself_is_a_slash(void **state)
{
    char mount[CGROUP_PATH_MAX];
    char path[CGROUP_PATH_MAX];

    (void)state;
    if (cgroup_mount(mount, NULL) != 0) {
        print_message("SKIPPED: no cgroup v2 is mounted\n");
        skip();
    }
    assert_int_equal(cgroup_make(STR("/"), path, NULL), 0);
    assert_string_equal(path, mount);
}

static void folders_that_nobody_is_in_are_swept(void **state)
{
    char parent[CGROUP_PATH_MAX];
    char child[CGROUP_PATH_MAX];
    char name[64];
    struct why why = {""};
    struct stat about;

    (void)state;
    snprintf(name, sizeof name, "throughline-unit-%d/run-1", (int)getpid());
    if (geteuid() != 0 || cgroup_make(str_of(name), child, &why) != 0) {
        print_message("SKIPPED: cgroups cannot be made here: %s\n", why.text);
        skip();
    }
    assert_int_equal(stat(child, &about), 0);
    assert_true(cgroup_is_there(about.st_ino));
    memcpy(parent, child, sizeof parent);
    *strrchr(parent, '/') = '\0';
    cgroup_sweep(parent);
    assert_int_not_equal(access(child, F_OK), 0);
    assert_false(cgroup_is_there(about.st_ino));
    assert_int_equal(rmdir(parent), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_leave_the_mount_are_refused),
        cmocka_unit_test(the_mount_itself_is_a_slash),
        cmocka_unit_test(folders_that_nobody_is_in_are_swept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz function once over every file given, or every file of a folder: the golden run of a
// fuzz target in builds without libFuzzer.

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    uint8_t *data;
    size_t got;

    if (!file)
        return -1;
    if (fstat(fileno(file), &status) != 0) {
        fclose(file);
        return -1;
    }
    data = malloc((size_t)status.st_size + 1);
    got = data ? fread(data, 1, (size_t)status.st_size, file) : 0;
    fclose(file);
    if (data)
        LLVMFuzzerTestOneInput(data, got);
    free(data);
    return data ? 0 : -1;
}

static int run_folder(const char *path, int *out_runs)
{
    DIR *folder = opendir(path);
    char name[4096];

    if (!folder)
        return -1;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(name, sizeof name, "%s/%s", path, entry->d_name) >= (int)sizeof name)
            continue;
        if (run_file(name) == 0)
            (*out_runs)++;
    }
    closedir(folder);
    return 0;
}

int main(int argc, char **argv)
{
    int runs = 0;

    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        struct stat status;

        if (stat(argv[i], &status) != 0) {
            fprintf(stderr, "%s: no such seed\n", argv[i]);
            return 1;
        }
        if (S_ISDIR(status.st_mode))
            run_folder(argv[i], &runs);
        else if (run_file(argv[i]) == 0)
            runs++;
    }
    printf("%d seeds\n", runs);
    return 0;
}

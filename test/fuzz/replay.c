/*
 * replay -- every seed of a fuzz target, once, in a build without a fuzzer
 *
 * Arguments are files and folders of files.  A target that misbehaves dies, and
 * the name of the seed is then the last line of the output.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void
replay_file(const char *path)
{
	FILE  *f = fopen(path, "rb");
	char  *at = NULL;
	size_t len = 0;
	FILE  *all = open_memstream(&at, &len);
	int    c;

	if (f == NULL || all == NULL) {
		perror(path);
		exit(1);
	}
	while ((c = getc(f)) != EOF)
		(void)putc(c, all);
	(void)fclose(f);
	(void)fclose(all);
	(void)printf("%s\n", path);
	(void)fflush(stdout);
	/* A copy of just its length, so that a sanitizer sees the end of it. */
	uint8_t *exact = malloc(len == 0 ? 1 : len);
	for (size_t i = 0; exact != NULL && i < len; i++)
		exact[i] = (uint8_t)at[i];
	(void)LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	free(at);
}

static void
replay(const char *path)
{
	struct stat     st;
	struct dirent **name;
	char            inner[4096];
	int             count;

	if (stat(path, &st) < 0) {
		perror(path);
		exit(1);
	}
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	count = scandir(path, &name, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		if (name[i]->d_name[0] != '.') {
			(void)snprintf(inner, sizeof inner, "%s/%s", path, name[i]->d_name);
			replay(inner);
		}
		free(name[i]);
	}
	if (count >= 0)
		free(name);
}

int
main(int argc, char **argv)
{
	(void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	return 0;
}

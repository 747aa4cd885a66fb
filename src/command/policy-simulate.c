#include "command/policy-simulate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[SIMULATION_WORDS] = { "listener", "client", "name", "helo",
	                                             "from",     "to",     "auth", "tls" };
enum { CLIENT = 1, FROM_WHOM = 4, TO_WHOM = 5 };

static bool
take_word(char *word, struct simulation *out)
{
	char *value = strchr(word, '=');

	if (value == NULL) {
		if (strcmp(word, "tls") == 0)
			out->word[SIMULATION_WORDS - 1] = "yes";
		return strcmp(word, "tls") == 0;
	}
	*value++ = '\0';
	for (size_t i = 0; i < COUNT(names); i++)
		if (strcmp(word, names[i]) == 0) {
			out->word[i] = value;
			return true;
		}
	return false;
}

bool
simulation_parse(char *line, struct simulation *out, const char **why)
{
	char *said = strstr(line, "=> "), *place = NULL;

	*out = (struct simulation){ .word = { "smtp", "", "", "", "", "", "", "" } };
	*why = "write client=ADDRESS from=SENDER to=RECIPIENT, and perhaps name, helo, auth, tls, listener";
	if (said != NULL) {
		*said = '\0';
		out->said = bytes_trim(bytes_of(said + 3));
	}
	for (char *word = strtok_r(line, " \t", &place); word != NULL;
	     word = strtok_r(NULL, " \t", &place))
		if (!take_word(word, out))
			return false;
	if (*out->word[CLIENT] == '\0' || *out->word[TO_WHOM] == '\0')
		return false;
	if (*out->word[FROM_WHOM] == '\0')
		out->word[FROM_WHOM] = "<>";
	return true;
}

/* What is told at the end: "refused by RULE of LIST: REPLY", or that nothing refuses it. */
static struct bytes
verdict_of(struct bytes told, struct bytes *by)
{
	struct bytes line, reply = BYTES("250");

	*by = BYTES("");
	while (bytes_split(&told, '\n', &line)) {
		ptrdiff_t at = bytes_search_nocase(line, BYTES(": "));

		if (!bytes_starts(line, BYTES("refused by ")) || at < 0)
			continue;
		*by = bytes_cut(line, strlen("refused by "), (size_t)at - strlen("refused by "));
		reply = bytes_cut(line, (size_t)at + 2, SIZE_MAX);
	}
	return reply;
}

/* A code alone stands for every reply with it. */
static bool
is_the_same(struct bytes was, struct bytes is)
{
	return was.len == 3 ? bytes_starts(is, was) : bytes_equal(was, is);
}

struct run {
	struct call *call;
	bool         save;
	size_t       letters, others;
};

static int
ask(struct run *r, const char *written, const struct simulation *s)
{
	const char     *argv[2 + SIMULATION_WORDS] = { "policy", "explain" };
	struct word_ask question = { argv, COUNT(argv), { NULL, 0 } };
	struct buffer   told = { 0 };
	struct bytes    is, by;
	int             status;

	memcpy(argv + 2, s->word, sizeof s->word);
	status = command_talk(r->call, "policy", &question, -1, &told);
	is = verdict_of(buffer_bytes(&told), &by);
	r->letters++;
	if (status == COMMAND_WRONG) {
		buffer_free(&told);
		return status;
	}
	if (r->save)
		printf("%s => %.*s\n", written, (int)is.len, is.at);
	else if (s->said.len == 0)
		printf("%s: %.*s%s%.*s\n", written, (int)is.len, is.at, by.len > 0 ? ", by " : "",
		       (int)by.len, by.at);
	else if (!is_the_same(s->said, is)) {
		r->others++;
		printf("%s: was %.*s, is %.*s%s%.*s\n", written, (int)s->said.len, s->said.at,
		       (int)is.len, is.at, by.len > 0 ? ", by " : "", (int)by.len, by.at);
	}
	buffer_free(&told);
	return COMMAND_DONE;
}

static int
simulate_line(struct run *r, char *line, size_t number)
{
	struct simulation s;
	struct buffer     written = { 0 };
	const char       *why, *end = strstr(line, "=> ");
	int               status = COMMAND_WRONG;
	struct bytes      text = bytes_of(line);

	text = bytes_trim(end == NULL ? text : bytes_cut(text, 0, (size_t)(end - line)));
	buffer_add(&written, text);
	buffer_add_char(&written, '\0');
	if (simulation_parse(line, &s, &why))
		status = ask(r, written.at, &s);
	else
		fprintf(stderr, "mansio: line %zu: %s\n", number, why);
	buffer_free(&written);
	return status;
}

int
policy_simulate(struct call *c, const char *path, bool save)
{
	struct run r = { .call = c, .save = save };
	FILE      *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char      *line = NULL;
	size_t     room = 0;
	int        status = COMMAND_DONE;
	ssize_t    n;

	if (f == NULL) {
		fprintf(stderr, "mansio: %s: %s\n", path, strerror(errno));
		return COMMAND_WRONG;
	}
	for (size_t number = 1; status == COMMAND_DONE && (n = getline(&line, &room, f)) >= 0;
	     number++) {
		while (n > 0 && strchr("\r\n \t", line[n - 1]) != NULL)
			line[--n] = '\0';
		if (n == 0 || line[0] == '#') {
			if (save)
				printf("%s\n", line);
		} else
			status = simulate_line(&r, line, number);
	}
	free(line);
	if (f != stdin)
		(void)fclose(f);
	if (status == COMMAND_DONE && !save)
		printf("%zu letters, %zu not as they were\n", r.letters, r.others);
	return status != COMMAND_DONE ? status : r.others > 0 ? COMMAND_FAILED : COMMAND_DONE;
}

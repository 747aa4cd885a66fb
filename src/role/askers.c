#include "role/askers.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILE_DEEP = 3, FILE_MOST = 1 << 20 };

struct asker_rows {
	struct setting_list mailq, flush, submit;
};

#define AT(f) offsetof(struct asker_rows, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "authorized_mailq_users", SETTING_LIST, AT(mailq), "static:anyone", "Which users of this machine see the queue with mailq, postqueue -p and mansio queue list: names, !names, /files of them, or static:anyone; the first that fits decides. Root may always. Names are looked up when the server starts and at mansio reload.", .since = "0.3" },
	{ "authorized_flush_users", SETTING_LIST, AT(flush), "static:anyone", "The same for who may have letters tried now: sendmail -q, postqueue -f, -s and -i.", .since = "0.3" },
	{ "authorized_submit_users", SETTING_LIST, AT(submit), "static:anyone", "Which users of this machine may send letters with sendmail, in the same words; root is asked for, too. It keeps nobody from speaking SMTP to this machine: that is what mynetworks and passwords are for.", .since = "0.3" },
};
/* clang-format on */
#undef AT
const struct setting_table asker_setting_table = { "Users of this machine", rows, COUNT(rows) };

static void add_items(struct buffer *lines, struct bytes words, bool negated, int deep);

static void
add_file(struct buffer *lines, const char *path, bool negated, int deep)
{
	struct buffer text = { 0 };
	struct bytes  rest, line;
	int           fd = deep < FILE_DEEP ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	ssize_t       n;

	while (fd >= 0 && text.len < FILE_MOST &&
	       (n = read(fd, buffer_room(&text, 4096), 4096)) > 0)
		buffer_took(&text, (size_t)n);
	if (fd >= 0)
		(void)close(fd);
	rest = buffer_bytes(&text);
	while (bytes_split(&rest, '\n', &line))
		if (line.len > 0 && line.at[0] != '#')
			add_items(lines, line, negated, deep + 1);
	buffer_free(&text);
}

static void
add_item(struct buffer *lines, const char *item, bool negated, int deep)
{
	struct passwd *who;

	for (; *item == '!'; item++)
		negated = !negated;
	if (*item == '/')
		add_file(lines, item, negated, deep);
	else if (strncmp(item, "static:", 7) == 0)
		buffer_printf(lines, " %sany", negated ? "!" : "");
	else if ((who = getpwnam(item)) != NULL)
		buffer_printf(lines, " %s%u", negated ? "!" : "", who->pw_uid);
}

/* Words with blanks or commas between. */
static void
add_items(struct buffer *lines, struct bytes words, bool negated, int deep)
{
	char   item[256];
	size_t n = 0;

	for (size_t i = 0; i <= words.len; i++) {
		if (i < words.len && strchr(" \t\r,", words.at[i]) == NULL) {
			n++;
			continue;
		}
		if (n > 0 && bytes_string(bytes_cut(words, i - n, i), item, sizeof item))
			add_item(lines, item, negated, deep);
		n = 0;
	}
}

static void
add_list(struct buffer *lines, const char *what, const struct setting_list *list)
{
	buffer_add_string(lines, what);
	for (size_t i = 0; i < list->count; i++)
		add_item(lines, list->item[i], false, 0);
	buffer_add_char(lines, '\n');
}

void
askers_lines(struct settings *s, struct buffer *lines)
{
	struct asker_rows r;

	if (!settings_fill(s, &asker_setting_table, NULL, &r, NULL))
		return;
	add_list(lines, "mailq", &r.mailq);
	add_list(lines, "flush", &r.flush);
	add_list(lines, "submit", &r.submit);
}

bool
askers_may(const char *lines, const char *what, uid_t uid)
{
	struct bytes rest = bytes_of(lines), line, word, name;
	uint64_t     number;

	while (bytes_split(&rest, '\n', &line)) {
		if (!bytes_split(&line, ' ', &name) || !bytes_is(name, what))
			continue;
		while (bytes_split(&line, ' ', &word)) {
			bool negated = bytes_starts(word, BYTES("!"));

			if (negated)
				word = bytes_cut(word, 1, word.len);
			if (bytes_equal(word, BYTES("any")) ||
			    (bytes_number(word, &number) && number == uid))
				return !negated;
		}
		return false;
	}
	return false;
}

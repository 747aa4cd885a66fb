#include "command/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "command/command.h"

enum { LINE_MOST = 1024 };

static int
terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		(void)fprintf(stderr, "mansio: there is no terminal to ask at; "
		                      "see mansio help for the options that answer\n");
	return fd;
}

static void
tell(int fd, const char *text)
{
	ssize_t n = write(fd, text, strlen(text));

	(void)n; /* who cannot see the question cannot answer it either */
}

/* One line without its end; false at the end of the input. */
static bool
read_line(int fd, struct buffer *out)
{
	char c;

	while (out->len < LINE_MOST && read(fd, &c, 1) == 1) {
		if (c == '\n')
			return true;
		buffer_add_char(out, c);
	}
	return false;
}

bool
prompt_line(const char *question, const char *standard, struct buffer *out)
{
	size_t before = out->len;
	int    fd = terminal();
	bool   good;

	if (fd < 0)
		return false;
	tell(fd, question);
	if (*standard != '\0') {
		tell(fd, " [");
		tell(fd, standard);
		tell(fd, "]");
	}
	tell(fd, ": ");
	good = read_line(fd, out);
	if (good && out->len == before)
		buffer_add_string(out, standard);
	(void)close(fd);
	return good;
}

static bool
read_unseen(int fd, const char *question, const char *more, struct buffer *out)
{
	struct termios seen, unseen;
	bool           good;

	if (tcgetattr(fd, &seen) < 0)
		return false;
	unseen = seen;
	unseen.c_lflag &= ~(tcflag_t)ECHO;
	unseen.c_lflag |= ECHONL;
	if (tcsetattr(fd, TCSAFLUSH, &unseen) < 0)
		return false;
	tell(fd, question);
	tell(fd, more);
	good = read_line(fd, out);
	(void)tcsetattr(fd, TCSAFLUSH, &seen);
	return good;
}

void
prompt_forget(struct buffer *b)
{
	if (b->len > 0)
		explicit_bzero(b->at, b->len);
	buffer_free(b);
}

bool
prompt_secret(const char *question, struct buffer *out)
{
	struct buffer once = { 0 }, twice = { 0 };
	int           fd = terminal();
	bool          good = fd >= 0, same = false;

	while (good && !same) {
		prompt_forget(&once);
		prompt_forget(&twice);
		good = read_unseen(fd, question, ": ", &once) &&
		       read_unseen(fd, question, " (once more): ", &twice);
		same = bytes_equal(buffer_bytes(&once), buffer_bytes(&twice)) && once.len > 0;
		if (good && !same)
			tell(fd, once.len == 0 ? "A password cannot be empty.\n"
			                       : "These were not the same; please again.\n");
	}
	if (good)
		buffer_add(out, buffer_bytes(&once));
	prompt_forget(&once);
	prompt_forget(&twice);
	if (fd >= 0)
		(void)close(fd);
	return good;
}

/* The whole of a file is the password, but for the end of its one line. */
static bool
from_file(const char *file, struct buffer *out)
{
	struct buffer text = { 0 };
	struct bytes  password;
	bool          good = command_read(file, &text);

	password = buffer_bytes(&text);
	if (password.len > 0 && password.at[password.len - 1] == '\n')
		password.len--;
	if (password.len > 0 && password.at[password.len - 1] == '\r')
		password.len--;
	if (good && (password.len == 0 || bytes_find(password, '\n') >= 0)) {
		(void)fprintf(stderr, "mansio: %s: %s; right would be the password on one line\n",
		              strcmp(file, "-") == 0 ? "standard input" : file,
		              password.len == 0 ? "there is no password" : "more than one line");
		good = false;
	}
	if (good)
		buffer_add(out, password);
	prompt_forget(&text);
	return good;
}

bool
prompt_password(const char *file, const char *question, struct buffer *out)
{
	if (file == NULL && isatty(STDIN_FILENO))
		return prompt_secret(question, out);
	return from_file(file == NULL ? "-" : file, out);
}

/*
 * postmaster-settings -- main.cf as the postmaster reads it: the file, where defaults depend on the machine what they
 * are here, and whether all of it is as it should be
 */
#include "role/postmaster_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "role/interfaces.h"

enum { FILE_MOST = 4 << 20 };

static bool
read_file(const char *path, struct buffer *out, struct buffer *errors)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int why = fd < 0 ? errno : file_read(fd, FILE_MOST, out);

	if (why != 0)
		buffer_printf(errors, "%s: %s\n", path,
		              why == EFBIG ? "too long for a file of settings" : strerror(why));
	if (fd >= 0)
		(void)close(fd);
	return why == 0;
}

static bool
names(const struct settings *s, const char *name)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strcmp(e.name, name) == 0)
			return true;
	return false;
}

/* What mynetworks is by mynetworks_style, behind the file's own lines: only we can still look. */
static struct settings *
add_networks(struct settings *s, const char *file, struct buffer *text, struct buffer *errors)
{
	struct common_settings common;
	struct buffer          unheard = { 0 };

	if (!house_is_set(s, "mynetworks_style") || names(s, "mynetworks") ||
	    !settings_fill(s, &common_setting_table, NULL, &common, errors))
		return s;
	buffer_add_string(text, "\nmynetworks = ");
	interfaces_networks(&common, text);
	buffer_add_char(text, '\n');
	settings_close(&s);
	s = house_settings_read(buffer_bytes(text), file, errors, &unheard);
	buffer_free(&unheard);
	return s;
}

struct settings *
postmaster_read(const char *file, struct buffer *text, struct common_settings *common,
                struct buffer *errors, struct buffer *warnings)
{
	struct settings *s;
	size_t           whole;
	struct buffer    unheard = { 0 };

	if (!read_file(file, text, errors))
		return NULL;
	s = house_settings_read(buffer_bytes(text), file, errors, warnings);
	whole = text->len;
	if (s != NULL)
		house_settings_origin(s, text);
	if (text->len > whole) {
		settings_close(&s);
		s = house_settings_read(buffer_bytes(text), file, errors, &unheard);
	}
	buffer_free(&unheard);
	if (s != NULL)
		s = add_networks(s, file, text, errors);
	if (s != NULL && (!house_settings_check(s, file, errors, warnings) ||
	                  !settings_fill(s, &common_setting_table, NULL, common, errors)))
		settings_close(&s);
	if (s != NULL)
		tables_hide_parameters(s, text);
	return s;
}

void
postmaster_keep_settings(struct postmaster *p, struct settings *s)
{
	struct generation *g = memory_take(sizeof *g);

	*g = (struct generation){ p->generations, s };
	p->generations = g;
	p->house.settings = s;
}

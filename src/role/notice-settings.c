#include "role/notice-settings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "message/notice-words.h"
#include "role/queue.h"
#include "role/tables.h"

const char *
notice_template_file(const struct setting_list *list)
{
	return list->count == 1 && list->item[0][0] == '/' ? list->item[0] : NULL;
}

bool
notice_templates_load(const char *path, struct arena *a, struct notice_templates *out,
                      struct buffer *errors)
{
	struct buffer text = { 0 };
	int           fd = open(path, O_RDONLY | O_CLOEXEC);
	int           why = fd < 0 ? errno : file_read(fd, TEMPLATE_TEXT_MOST + 1, &text);
	bool          good = why == 0 || why == EFBIG; /* which templates_read() says */

	out->count = 0;
	if (!good)
		buffer_printf(errors, "%s: %s\n", path, strerror(why));
	good = good && templates_read(arena_keep(a, buffer_bytes(&text)), path, a, out, errors);
	if (fd >= 0)
		(void)close(fd);
	buffer_free(&text);
	return good;
}

struct knowing {
	struct settings *settings;
	struct arena    *arena;
	struct buffer   *unknown; /* NULL: nobody wants to know */
	bool             all;
};

/* delay_warning_time_hours: a time in another unit */
static bool
time_in(struct knowing *g, struct bytes name, struct bytes *value)
{
	static const struct {
		const char *behind;
		int64_t     seconds;
	} units[] = { { "_seconds", 1 },
		      { "_minutes", 60 },
		      { "_hours", 3600 },
		      { "_days", 86400 },
		      { "_weeks", 604800 } };
	struct queue_settings rows;

	for (size_t i = 0; i < COUNT(units); i++) {
		struct bytes of = name;
		int64_t      ms;

		if (!bytes_ends_nocase(name, bytes_of(units[i].behind)))
			continue;
		of.len -= strlen(units[i].behind);
		if (!bytes_is(of, "delay_warning_time") && !bytes_is(of, "maximal_queue_lifetime"))
			return false;
		if (!settings_fill(g->settings, &queue_setting_table, NULL, &rows, NULL))
			return false;
		ms = bytes_is(of, "delay_warning_time") ? rows.warning_ms : rows.lifetime_ms;
		*value = bytes_of(
			arena_printf(g->arena, "%lld", (long long)(ms / 1000 / units[i].seconds)));
		return true;
	}
	return false;
}

static bool
know(void *ctx, struct bytes name, struct bytes *value)
{
	struct knowing *g = ctx;
	const char     *text;

	if (time_in(g, name, value))
		return true;
	text = settings_value(g->settings, arena_copy(g->arena, name));
	*value = bytes_of(text);
	if (text == NULL && g->unknown != NULL)
		buffer_printf(g->unknown, " $%.*s", (int)name.len, name.at);
	g->all = g->all && text != NULL;
	return text != NULL;
}

bool
notice_expand(struct settings *settings, struct bytes text, struct arena *a, struct buffer *out,
              struct buffer *unknown)
{
	struct knowing g = { .settings = settings, .arena = a, .unknown = unknown, .all = true };

	settings_expand_later(text, know, &g, out);
	return g.all;
}

static bool
check_templates(struct settings *s, const char *path, struct buffer *errors)
{
	struct arena           *a = arena_open(NULL);
	struct notice_templates all;
	struct buffer           text = { 0 }, unknown = { 0 };
	bool                    good = notice_templates_load(path, a, &all, errors);

	for (size_t i = 0; i < all.count; i++) {
		buffer_reset(&text);
		buffer_reset(&unknown);
		if (notice_expand(s, all.one[i].text, a, &text, &unknown))
			continue;
		buffer_printf(errors, "%s: %s_template: there is no setting%.*s; $$ is a dollar\n",
		              path, template_names[all.one[i].kind], (int)unknown.len, unknown.at);
		good = false;
	}
	buffer_free(&text);
	buffer_free(&unknown);
	arena_close(&a);
	return good;
}

bool
notice_settings_check(struct settings *s, struct buffer *errors)
{
	struct queue_settings rows;
	const char           *type = tables_default_type(s), *path;
	size_t                before = errors->len;

	if (!settings_fill(s, &queue_setting_table, NULL, &rows, NULL))
		return true; /* said by another */
	path = notice_template_file(&rows.template_file);
	if (path == NULL && rows.template_file.count > 0)
		buffer_printf(errors, "bounce_template_file = %s: write the path of one file\n",
		              rows.template_file.item[0]);
	else if (path != NULL)
		(void)check_templates(s, path, errors);
	if (rows.languages.count > NOTICE_LANGUAGES_MOST)
		buffer_printf(errors, "bounce_language: at most %d languages in a notice\n",
		              NOTICE_LANGUAGES_MOST);
	for (size_t i = 0; i < rows.languages.count; i++)
		if (notice_words(bytes_of(rows.languages.item[i])) == NULL)
			buffer_printf(errors, "bounce_language = %s: notices speak en and zh\n",
			              rows.languages.item[i]);
	for (size_t i = 0; i < rows.language_maps.count; i++)
		if (table_is_remote(rows.language_maps.item[i], type))
			buffer_printf(
				errors,
				"bounce_language_maps = %s: a notice waits for no other server, and "
				"the queue looks in files alone: write texthash:, hash:, inline:, pcre: or one of their kind\n",
				rows.language_maps.item[i]);
	return errors->len == before;
}

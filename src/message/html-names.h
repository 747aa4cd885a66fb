/* html-names -- what names of characters in HTML stand for: data for html.c alone, sorted as strcmp() sorts */
#ifndef MESSAGE_HTML_NAMES_H
#define MESSAGE_HTML_NAMES_H

#include <stdint.h>

struct html_name {
	char     name[9];
	uint16_t is;
	uint8_t  alone;
};
extern const struct html_name html_names[];
extern const unsigned         html_names_count;

#endif

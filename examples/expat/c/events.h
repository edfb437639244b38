/* Expat's handlers as records for Python: one event at a time, in one block of memory. */
#ifndef EVENTS_H
#define EVENTS_H

#include <expat.h>
#include <stdint.h>

/* The handlers, in the order of pyexpat's; the last one is not a user's. */
enum wx_kind {
    WX_START_ELEMENT,
    WX_END_ELEMENT,
    WX_PROCESSING_INSTRUCTION,
    WX_CHARACTER_DATA,
    WX_UNPARSED_ENTITY_DECL,
    WX_NOTATION_DECL,
    WX_START_NAMESPACE_DECL,
    WX_END_NAMESPACE_DECL,
    WX_COMMENT,
    WX_START_CDATA_SECTION,
    WX_END_CDATA_SECTION,
    WX_DEFAULT,
    WX_DEFAULT_EXPAND,
    WX_NOT_STANDALONE,
    WX_EXTERNAL_ENTITY_REF,
    WX_START_DOCTYPE_DECL,
    WX_END_DOCTYPE_DECL,
    WX_ENTITY_DECL,
    WX_XML_DECL,
    WX_ELEMENT_DECL,
    WX_ATTLIST_DECL,
    WX_SKIPPED_ENTITY,
    WX_UNKNOWN_ENCODING,
    WX_KINDS = 32
};

/* What the host is told of an event, and what it answers. The texts stand one behind the other, with a NUL between
 * them; a NULL pointer is a text that cannot be in a document: the one character U+0001. */
struct wx_event {
    uint32_t slot;        /* the parser's number times WX_KINDS, and the kind */
    uint32_t size;        /* bytes of texts */
    const char *texts;
    int32_t number;       /* a flag, or the address of a content model */
    uint32_t served;      /* 0, unless the host has served the event without an exception */
    int32_t answer;       /* for those handlers that return something */
    int32_t map[256];     /* for WX_UNKNOWN_ENCODING */
};

enum { WX_TEXTS = 65536 };
extern struct wx_event wx_event;
/* Where texts stand if they are not longer. */
extern char wx_texts[WX_TEXTS];

struct wx_parser;

/* A parser that reports to the host under `number`. NULL: no memory. */
struct wx_parser *wx_create(const char *encoding, const char *separator, uint32_t number, uint32_t salt);
struct wx_parser *wx_create_external(struct wx_parser *from, const char *context, const char *encoding, uint32_t number);
void wx_free(struct wx_parser *self);
XML_Parser wx_expat(struct wx_parser *self);

/* Switch a handler on or off. */
void wx_handle(struct wx_parser *self, enum wx_kind kind, int on);
/* No handler is called any more, and external entities are errors: what an exception in a handler leaves. */
void wx_silence(struct wx_parser *self);
int wx_silenced(struct wx_parser *self);

/* Character data is collected in `size` bytes before it is reported; 0: it is not collected. 0 is returned if there is
 * no memory. */
int wx_buffer(struct wx_parser *self, uint32_t size);
uint32_t wx_buffered(struct wx_parser *self);
void wx_flush(struct wx_parser *self);
void wx_specified_only(struct wx_parser *self, int on);

/* XML_ParseBuffer, or the end of the input; then what was collected is reported. */
int wx_parse(struct wx_parser *self, int length, int is_final);

#endif

/* Local time from the host: overrides wasi-libc's functions, which know no time zone. */

#include "abi.h"

#include <errno.h>
#include <time.h>

struct tm *localtime_r(const time_t *restrict seconds, struct tm *restrict out) {
  int32_t fields[9];
  if (wsq_host_local_time((int64_t)*seconds, fields) != 0) {
    errno = EOVERFLOW;
    return NULL;
  }
  *out = (struct tm){
      .tm_sec = fields[0],
      .tm_min = fields[1],
      .tm_hour = fields[2],
      .tm_mday = fields[3],
      .tm_mon = fields[4],
      .tm_year = fields[5],
      .tm_wday = fields[6],
      .tm_yday = fields[7],
      .tm_isdst = fields[8],
  };
  return out;
}

struct tm *localtime(const time_t *seconds) {
  static struct tm result;
  return localtime_r(seconds, &result);
}

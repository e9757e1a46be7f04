// A histogram of microseconds: exact below 1024, then 512 steps for each power of two (0.2 %).
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_BUCKETS (512 * 40)

struct histogram {
  uint64_t count, largest;
  double sum;
  uint32_t buckets[HISTOGRAM_BUCKETS];
};

static inline int histogram_bucket(uint64_t value) {
  if (value < 1024)
    return value;
  int exponent = 63 - __builtin_clzll(value);
  int bucket = 1024 + (exponent - 10) * 512 + ((value >> (exponent - 9)) & 511);
  return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static inline double histogram_value(int bucket) {
  if (bucket < 1024)
    return bucket;
  bucket -= 1024;
  return (double)((uint64_t)(512 + bucket % 512) << (bucket / 512 + 1));
}

// Less than nothing counts as nothing.
static inline void histogram_add(struct histogram *histogram, int64_t value) {
  uint64_t counted = value < 0 ? 0 : value;
  histogram->count++;
  histogram->sum += counted;
  if (counted > histogram->largest)
    histogram->largest = counted;
  histogram->buckets[histogram_bucket(counted)]++;
}

static inline double histogram_quantile(const struct histogram *histogram, double share) {
  if (!histogram->count)
    return 0;
  uint64_t rank = (uint64_t)(share * (histogram->count - 1)) + 1, seen = 0;
  for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
    if ((seen += histogram->buckets[i]) >= rank)
      return histogram_value(i);
  return histogram->largest;
}

// As a member of a JSON object, without a comma.
static inline void histogram_print(const char *name, const struct histogram *histogram) {
  printf("\"%s\":{\"n\":%lu,\"mean\":%.1f,\"p50\":%.0f,\"p90\":%.0f,\"p99\":%.0f,\"p999\":%.0f,\"max\":%lu}", name,
         histogram->count, histogram->count ? histogram->sum / histogram->count : 0,
         histogram_quantile(histogram, .5), histogram_quantile(histogram, .9), histogram_quantile(histogram, .99),
         histogram_quantile(histogram, .999), histogram->largest);
}

#endif

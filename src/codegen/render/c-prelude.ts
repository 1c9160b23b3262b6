/** The vocabulary of generated C: vectors of `width` lanes by the GNU vector extension, no header included. */
export function prelude(width: number): string {
  const lanes = Array.from({ length: width }, (_, i) => i);
  // lane by lane, never as an array: an array is memory, and takes the vectors around it there
  const gathered = lanes.map((i) => `((const T *)p)[index[${i}]]`).join(', ');
  const loaded = lanes.map((i) => `if (n > ${i}) r[${i}] = ((const T *)p)[${i}];`).join(' ');
  const stored = lanes.map((i) => `if (n > ${i}) ((T *)p)[${i}] = (T)a[${i}];`).join(' ');
  return `#define W ${width}
typedef signed int int32_t;
typedef unsigned int uint32_t;
typedef signed long long int64_t;
typedef unsigned long long uint64_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef float vf __attribute__((vector_size(4 * W)));
typedef int32_t vi __attribute__((vector_size(4 * W)));
typedef uint32_t vu __attribute__((vector_size(4 * W)));
typedef uint64_t vu64 __attribute__((vector_size(8 * W)));
typedef uint8_t vu8 __attribute__((vector_size(W)));
typedef uint16_t vu16 __attribute__((vector_size(2 * W)));
typedef vf vfu __attribute__((aligned(4), may_alias));
typedef vi viu __attribute__((aligned(4), may_alias));
typedef vu8 vu8u __attribute__((aligned(1), may_alias));
typedef vu16 vu16u __attribute__((aligned(2), may_alias));
typedef float f32u __attribute__((may_alias));
typedef int32_t i32u __attribute__((may_alias));
typedef uint16_t u16u __attribute__((may_alias));
#define INLINE static inline __attribute__((always_inline, unused))
INLINE vf splat_vf(float a) { return a - (vf){0}; }
INLINE vi splat_vi(int32_t a) { return a - (vi){0}; }
static const vi iota = {${lanes.join(', ')}};
#ifndef __has_builtin
#define __has_builtin(name) 0
#endif
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif
INLINE vf select_vf(vi m, vf a, vf b) { return (vf)(((vi)a & m) | ((vi)b & ~m)); }
INLINE vi select_vi(vi m, vi a, vi b) { return (a & m) | (b & ~m); }
INLINE float min_f32(float a, float b) { return b < a ? b : a; }
INLINE float max_f32(float a, float b) { return a < b ? b : a; }
INLINE int32_t min_i32(int32_t a, int32_t b) { return b < a ? b : a; }
INLINE int32_t max_i32(int32_t a, int32_t b) { return a < b ? b : a; }
INLINE vi min_vi(vi a, vi b) { return select_vi((vi)(b < a), b, a); }
INLINE vi max_vi(vi a, vi b) { return select_vi((vi)(a < b), b, a); }
#if defined(__AVX512F__) && W == 16 && defined(__clang__)
INLINE vf min_vf(vf a, vf b) { return (vf)__builtin_ia32_minps512(b, a, 4); }
INLINE vf max_vf(vf a, vf b) { return (vf)__builtin_ia32_maxps512(b, a, 4); }
#elif defined(__AVX512F__) && W == 16
INLINE vf min_vf(vf a, vf b) { return (vf)__builtin_ia32_minps512_mask(b, a, a, -1, 4); }
INLINE vf max_vf(vf a, vf b) { return (vf)__builtin_ia32_maxps512_mask(b, a, a, -1, 4); }
#elif defined(__AVX__) && W == 8
INLINE vf min_vf(vf a, vf b) { return (vf)__builtin_ia32_minps256(b, a); }
INLINE vf max_vf(vf a, vf b) { return (vf)__builtin_ia32_maxps256(b, a); }
#elif defined(__SSE__) && W == 4
INLINE vf min_vf(vf a, vf b) { return (vf)__builtin_ia32_minps(b, a); }
INLINE vf max_vf(vf a, vf b) { return (vf)__builtin_ia32_maxps(b, a); }
#else
INLINE vf min_vf(vf a, vf b) { return select_vf((vi)(b < a), b, a); }
INLINE vf max_vf(vf a, vf b) { return select_vf((vi)(a < b), b, a); }
#endif
INLINE int32_t bits_f32(float a) { int32_t r; __builtin_memcpy(&r, &a, 4); return r; }
INLINE float from_bits_i32(int32_t a) { float r; __builtin_memcpy(&r, &a, 4); return r; }
INLINE vf abs_vf(vf a) { return (vf)((vi)a & 0x7fffffff); }
INLINE float abs_f32(float a) { return __builtin_fabsf(a); }
#define LANES(name, f) \\
  INLINE float name##_f32(float a) { return f(a); } \\
  INLINE vf name##_vf(vf a) { float t[W]; __builtin_memcpy(t, &a, 4 * W); for (int i = 0; i < W; i++) t[i] = f(t[i]); __builtin_memcpy(&a, t, 4 * W); return a; }
LANES(sqrt, __builtin_sqrtf)
LANES(floor, __builtin_floorf)
LANES(ceil, __builtin_ceilf)
LANES(nearest, __builtin_rintf)
LANES(trunc, __builtin_truncf)
INLINE vi mul_high_vi(vi a, vi b) {
  return (vi)__builtin_convertvector((__builtin_convertvector((vu)a, vu64) * __builtin_convertvector((vu)b, vu64)) >> 32, vu);
}
#if defined(__SSE__)
INLINE vf keep_vf(vf a) { __asm__("" : "+v"(a)); return a; }
#elif defined(__aarch64__)
INLINE vf keep_vf(vf a) { __asm__("" : "+w"(a)); return a; }
#else
INLINE vf keep_vf(vf a) { return a; }
#endif
#define REDUCE(vector, scalar, name, f) \\
  INLINE scalar name(vector a) { ${halves(width)} return a[0]; }
#define ADD(a, b) ((a) + (b))
#define OR(a, b) ((a) | (b))
REDUCE(vf, float, reduce_add_vf, ADD)
REDUCE(vf, float, reduce_max_vf, max_vf)
REDUCE(vf, float, reduce_min_vf, min_vf)
REDUCE(vi, int32_t, reduce_or_vi, OR)
INLINE int32_t any_vi(vi a) { return reduce_or_vi(a) != 0; }
#if defined(__AVX512F__) && W == 16
#define FIRST(n) ((uint16_t)((n) >= W ? 0xffff : (n) > 0 ? (1 << (n)) - 1 : 0))
INLINE vf load_partial_vf(const char *p, int32_t n) { return (vf)__builtin_ia32_loadups512_mask((const float *)p, (vf){0}, FIRST(n)); }
INLINE void store_partial_vf(char *p, vf a, int32_t n) { __builtin_ia32_storeups512_mask((float *)p, a, FIRST(n)); }
#elif defined(__AVX__) && W == 8
INLINE vf load_partial_vf(const char *p, int32_t n) { return (vf)__builtin_ia32_maskloadps256((const vf *)p, iota < splat_vi(n)); }
INLINE void store_partial_vf(char *p, vf a, int32_t n) { __builtin_ia32_maskstoreps256((vf *)p, iota < splat_vi(n), a); }
#else
INLINE vf load_partial_vf(const char *p, int32_t n) { vf r = {0}; ${as('f32u', loaded)} return r; }
INLINE void store_partial_vf(char *p, vf a, int32_t n) { ${as('f32u', stored)} }
#endif
INLINE vi load_partial_vi(const char *p, int32_t n) { return (vi)load_partial_vf(p, n); }
INLINE void store_partial_vi(char *p, vi a, int32_t n) { store_partial_vf(p, (vf)a, n); }
INLINE vi load_partial_vu8(const char *p, int32_t n) { vi r = {0}; ${as('uint8_t', loaded)} return r; }
INLINE void store_partial_vu8(char *p, vi a, int32_t n) { ${as('uint8_t', stored)} }
INLINE vi load_partial_vu16(const char *p, int32_t n) { vi r = {0}; ${as('u16u', loaded)} return r; }
INLINE void store_partial_vu16(char *p, vi a, int32_t n) { ${as('u16u', stored)} }
INLINE vf gather_vf(const char *p, vi index) { return (vf){${as('f32u', gathered)}}; }
INLINE vi gather_vi(const char *p, vi index) { return (vi){${as('i32u', gathered)}}; }
INLINE vi gather_vu8(const char *p, vi index) { return (vi){${as('uint8_t', gathered)}}; }
`;
}

const as = (type: string, text: string): string => text.replaceAll(/\bT\b/g, type);

/** Folds `a` until lane 0 holds all: lane i with lane i + width/2, and so on. */
function halves(width: number): string {
  const steps: string[] = [];
  for (let half = width / 2; half >= 1; half /= 2) {
    const lanes = Array.from({ length: width }, (_, i) => (i + half) % width);
    steps.push(`a = f(a, SHUFFLE(a, a, ${lanes.join(', ')}));`);
  }
  return steps.join(' ');
}

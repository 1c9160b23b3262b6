/** The vocabulary of generated C: vectors of `width` lanes by the GNU vector extension, no header included. */
export function prelude(width: number): string {
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
static const vi iota = {${Array.from({ length: width }, (_, i) => i).join(', ')}};
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
INLINE int32_t any_vi(vi a) { uint64_t t[W / 2]; __builtin_memcpy(t, &a, 4 * W); uint64_t r = 0; for (int i = 0; i < W / 2; i++) r |= t[i]; return r != 0; }
#define REDUCE(name, f) \\
  INLINE float name##_vf(vf a) { float t[W]; __builtin_memcpy(t, &a, 4 * W); for (int n = W / 2; n > 0; n /= 2) for (int i = 0; i < n; i++) t[i] = f(t[i], t[i + n]); return t[0]; }
#define ADD(a, b) ((a) + (b))
REDUCE(reduce_add, ADD)
REDUCE(reduce_max, max_f32)
REDUCE(reduce_min, min_f32)
#define PARTIAL(access, vector, scalar) \\
  INLINE vector load_partial_##access(const char *p, int32_t n) { vector r = {0}; for (int i = 0; i < W; i++) if (i < n) r[i] = ((const scalar *)p)[i]; return r; } \\
  INLINE void store_partial_##access(char *p, vector a, int32_t n) { for (int i = 0; i < W; i++) if (i < n) ((scalar *)p)[i] = (scalar)a[i]; }
PARTIAL(vf, vf, f32u)
PARTIAL(vi, vi, i32u)
PARTIAL(vu8, vi, uint8_t)
PARTIAL(vu16, vi, u16u)
INLINE vf gather_vf(const char *p, vi index) { vf r; for (int i = 0; i < W; i++) r[i] = ((const f32u *)p)[index[i]]; return r; }
INLINE vi gather_vi(const char *p, vi index) { vi r; for (int i = 0; i < W; i++) r[i] = ((const i32u *)p)[index[i]]; return r; }
INLINE vi gather_vu8(const char *p, vi index) { vi r; for (int i = 0; i < W; i++) r[i] = ((const uint8_t *)p)[index[i]]; return r; }
`;
}

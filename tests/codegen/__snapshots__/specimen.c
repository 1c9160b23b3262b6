/* specimen */
#define W 16
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
static const vi iota = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
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
#define LANES(name, f) \
  INLINE float name##_f32(float a) { return f(a); } \
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
#define REDUCE(vector, scalar, name, f) \
  INLINE scalar name(vector a) { a = f(a, SHUFFLE(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)); a = f(a, SHUFFLE(a, a, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3)); a = f(a, SHUFFLE(a, a, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1)); a = f(a, SHUFFLE(a, a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0)); return a[0]; }
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
INLINE vf load_partial_vf(const char *p, int32_t n) { vf r = {0}; if (n > 0) r[0] = ((const f32u *)p)[0]; if (n > 1) r[1] = ((const f32u *)p)[1]; if (n > 2) r[2] = ((const f32u *)p)[2]; if (n > 3) r[3] = ((const f32u *)p)[3]; if (n > 4) r[4] = ((const f32u *)p)[4]; if (n > 5) r[5] = ((const f32u *)p)[5]; if (n > 6) r[6] = ((const f32u *)p)[6]; if (n > 7) r[7] = ((const f32u *)p)[7]; if (n > 8) r[8] = ((const f32u *)p)[8]; if (n > 9) r[9] = ((const f32u *)p)[9]; if (n > 10) r[10] = ((const f32u *)p)[10]; if (n > 11) r[11] = ((const f32u *)p)[11]; if (n > 12) r[12] = ((const f32u *)p)[12]; if (n > 13) r[13] = ((const f32u *)p)[13]; if (n > 14) r[14] = ((const f32u *)p)[14]; if (n > 15) r[15] = ((const f32u *)p)[15]; return r; }
INLINE void store_partial_vf(char *p, vf a, int32_t n) { if (n > 0) ((f32u *)p)[0] = (f32u)a[0]; if (n > 1) ((f32u *)p)[1] = (f32u)a[1]; if (n > 2) ((f32u *)p)[2] = (f32u)a[2]; if (n > 3) ((f32u *)p)[3] = (f32u)a[3]; if (n > 4) ((f32u *)p)[4] = (f32u)a[4]; if (n > 5) ((f32u *)p)[5] = (f32u)a[5]; if (n > 6) ((f32u *)p)[6] = (f32u)a[6]; if (n > 7) ((f32u *)p)[7] = (f32u)a[7]; if (n > 8) ((f32u *)p)[8] = (f32u)a[8]; if (n > 9) ((f32u *)p)[9] = (f32u)a[9]; if (n > 10) ((f32u *)p)[10] = (f32u)a[10]; if (n > 11) ((f32u *)p)[11] = (f32u)a[11]; if (n > 12) ((f32u *)p)[12] = (f32u)a[12]; if (n > 13) ((f32u *)p)[13] = (f32u)a[13]; if (n > 14) ((f32u *)p)[14] = (f32u)a[14]; if (n > 15) ((f32u *)p)[15] = (f32u)a[15]; }
#endif
INLINE vi load_partial_vi(const char *p, int32_t n) { return (vi)load_partial_vf(p, n); }
INLINE void store_partial_vi(char *p, vi a, int32_t n) { store_partial_vf(p, (vf)a, n); }
INLINE vi load_partial_vu8(const char *p, int32_t n) { vi r = {0}; if (n > 0) r[0] = ((const uint8_t *)p)[0]; if (n > 1) r[1] = ((const uint8_t *)p)[1]; if (n > 2) r[2] = ((const uint8_t *)p)[2]; if (n > 3) r[3] = ((const uint8_t *)p)[3]; if (n > 4) r[4] = ((const uint8_t *)p)[4]; if (n > 5) r[5] = ((const uint8_t *)p)[5]; if (n > 6) r[6] = ((const uint8_t *)p)[6]; if (n > 7) r[7] = ((const uint8_t *)p)[7]; if (n > 8) r[8] = ((const uint8_t *)p)[8]; if (n > 9) r[9] = ((const uint8_t *)p)[9]; if (n > 10) r[10] = ((const uint8_t *)p)[10]; if (n > 11) r[11] = ((const uint8_t *)p)[11]; if (n > 12) r[12] = ((const uint8_t *)p)[12]; if (n > 13) r[13] = ((const uint8_t *)p)[13]; if (n > 14) r[14] = ((const uint8_t *)p)[14]; if (n > 15) r[15] = ((const uint8_t *)p)[15]; return r; }
INLINE void store_partial_vu8(char *p, vi a, int32_t n) { if (n > 0) ((uint8_t *)p)[0] = (uint8_t)a[0]; if (n > 1) ((uint8_t *)p)[1] = (uint8_t)a[1]; if (n > 2) ((uint8_t *)p)[2] = (uint8_t)a[2]; if (n > 3) ((uint8_t *)p)[3] = (uint8_t)a[3]; if (n > 4) ((uint8_t *)p)[4] = (uint8_t)a[4]; if (n > 5) ((uint8_t *)p)[5] = (uint8_t)a[5]; if (n > 6) ((uint8_t *)p)[6] = (uint8_t)a[6]; if (n > 7) ((uint8_t *)p)[7] = (uint8_t)a[7]; if (n > 8) ((uint8_t *)p)[8] = (uint8_t)a[8]; if (n > 9) ((uint8_t *)p)[9] = (uint8_t)a[9]; if (n > 10) ((uint8_t *)p)[10] = (uint8_t)a[10]; if (n > 11) ((uint8_t *)p)[11] = (uint8_t)a[11]; if (n > 12) ((uint8_t *)p)[12] = (uint8_t)a[12]; if (n > 13) ((uint8_t *)p)[13] = (uint8_t)a[13]; if (n > 14) ((uint8_t *)p)[14] = (uint8_t)a[14]; if (n > 15) ((uint8_t *)p)[15] = (uint8_t)a[15]; }
INLINE vi load_partial_vu16(const char *p, int32_t n) { vi r = {0}; if (n > 0) r[0] = ((const u16u *)p)[0]; if (n > 1) r[1] = ((const u16u *)p)[1]; if (n > 2) r[2] = ((const u16u *)p)[2]; if (n > 3) r[3] = ((const u16u *)p)[3]; if (n > 4) r[4] = ((const u16u *)p)[4]; if (n > 5) r[5] = ((const u16u *)p)[5]; if (n > 6) r[6] = ((const u16u *)p)[6]; if (n > 7) r[7] = ((const u16u *)p)[7]; if (n > 8) r[8] = ((const u16u *)p)[8]; if (n > 9) r[9] = ((const u16u *)p)[9]; if (n > 10) r[10] = ((const u16u *)p)[10]; if (n > 11) r[11] = ((const u16u *)p)[11]; if (n > 12) r[12] = ((const u16u *)p)[12]; if (n > 13) r[13] = ((const u16u *)p)[13]; if (n > 14) r[14] = ((const u16u *)p)[14]; if (n > 15) r[15] = ((const u16u *)p)[15]; return r; }
INLINE void store_partial_vu16(char *p, vi a, int32_t n) { if (n > 0) ((u16u *)p)[0] = (u16u)a[0]; if (n > 1) ((u16u *)p)[1] = (u16u)a[1]; if (n > 2) ((u16u *)p)[2] = (u16u)a[2]; if (n > 3) ((u16u *)p)[3] = (u16u)a[3]; if (n > 4) ((u16u *)p)[4] = (u16u)a[4]; if (n > 5) ((u16u *)p)[5] = (u16u)a[5]; if (n > 6) ((u16u *)p)[6] = (u16u)a[6]; if (n > 7) ((u16u *)p)[7] = (u16u)a[7]; if (n > 8) ((u16u *)p)[8] = (u16u)a[8]; if (n > 9) ((u16u *)p)[9] = (u16u)a[9]; if (n > 10) ((u16u *)p)[10] = (u16u)a[10]; if (n > 11) ((u16u *)p)[11] = (u16u)a[11]; if (n > 12) ((u16u *)p)[12] = (u16u)a[12]; if (n > 13) ((u16u *)p)[13] = (u16u)a[13]; if (n > 14) ((u16u *)p)[14] = (u16u)a[14]; if (n > 15) ((u16u *)p)[15] = (u16u)a[15]; }
INLINE vf gather_vf(const char *p, vi index) { return (vf){((const f32u *)p)[index[0]], ((const f32u *)p)[index[1]], ((const f32u *)p)[index[2]], ((const f32u *)p)[index[3]], ((const f32u *)p)[index[4]], ((const f32u *)p)[index[5]], ((const f32u *)p)[index[6]], ((const f32u *)p)[index[7]], ((const f32u *)p)[index[8]], ((const f32u *)p)[index[9]], ((const f32u *)p)[index[10]], ((const f32u *)p)[index[11]], ((const f32u *)p)[index[12]], ((const f32u *)p)[index[13]], ((const f32u *)p)[index[14]], ((const f32u *)p)[index[15]]}; }
INLINE vi gather_vi(const char *p, vi index) { return (vi){((const i32u *)p)[index[0]], ((const i32u *)p)[index[1]], ((const i32u *)p)[index[2]], ((const i32u *)p)[index[3]], ((const i32u *)p)[index[4]], ((const i32u *)p)[index[5]], ((const i32u *)p)[index[6]], ((const i32u *)p)[index[7]], ((const i32u *)p)[index[8]], ((const i32u *)p)[index[9]], ((const i32u *)p)[index[10]], ((const i32u *)p)[index[11]], ((const i32u *)p)[index[12]], ((const i32u *)p)[index[13]], ((const i32u *)p)[index[14]], ((const i32u *)p)[index[15]]}; }
INLINE vi gather_vu8(const char *p, vi index) { return (vi){((const uint8_t *)p)[index[0]], ((const uint8_t *)p)[index[1]], ((const uint8_t *)p)[index[2]], ((const uint8_t *)p)[index[3]], ((const uint8_t *)p)[index[4]], ((const uint8_t *)p)[index[5]], ((const uint8_t *)p)[index[6]], ((const uint8_t *)p)[index[7]], ((const uint8_t *)p)[index[8]], ((const uint8_t *)p)[index[9]], ((const uint8_t *)p)[index[10]], ((const uint8_t *)p)[index[11]], ((const uint8_t *)p)[index[12]], ((const uint8_t *)p)[index[13]], ((const uint8_t *)p)[index[14]], ((const uint8_t *)p)[index[15]]}; }

void subquad_run(const char *params, char *scratch, int32_t begin, int32_t end) {
  vf v8;
  int32_t v63;
  char * v4 = *(char *const *)(params + 0);
  char * v5 = *(char *const *)(params + 8);
  const int32_t v6 = *(const i32u *)(params + 16);
  const float v7 = *(const f32u *)(params + 24);
  const vf v9 = splat_vf(0.0f);
  v8 = v9;
  for (int32_t v10 = begin; v10 < end; v10 += 1) {
    const int32_t v11 = 4096;
    char * v12 = v4 + (int64_t)v10 * v11;
    const int32_t v13 = 0;
    for (int32_t v14 = v13; v14 < v6; v14 += 16) {
      const int32_t v15 = 4;
      char * v16 = v12 + (int64_t)v14 * v15;
      const int32_t v17 = (int32_t)((uint32_t)v6 - (uint32_t)v14);
      const vf v18 = *(const vfu *)(v16 + 64);
      const vf v19 = splat_vf(v7);
      const vf v20 = v18 * v19;
      const vf v21 = load_partial_vf(v16 + 64, v17);
      const vi v22 = (vi)(v20 > v21);
      const int32_t v23 = any_vi(v22);
      if (v23) {
        const vf v24 = v20 * v21 + v8;
        v8 = v24;
      } else {
        const vf v25 = abs_vf(v20);
        const vf v26 = -v25;
        const vf v27 = max_vf(v8, v26);
        v8 = v27;
      }
      const int32_t v28 = 4;
      char * v29 = v5 + (int64_t)v14 * v28;
      const vi v30 = (vi)(v20 != v20);
      const vf v31 = splat_vf(-__builtin_inff());
      const vf v32 = select_vf(v30, v31, v20);
      store_partial_vf(v29, v32, v17);
    }
    const vi v33 = iota;
    const vi v34 = splat_vi(v10);
    const vi v35 = v33 + v34;
    const vi v36 = splat_vi(305419896);
    const vi v37 = mul_high_vi(v35, v36);
    const vf v38 = gather_vf(v4, v37);
    const vi v39 = gather_vu8(v4, v37);
    const vf v40 = __builtin_convertvector(v39, vf);
    const vf v41 = v38 + v40;
    const vf v42 = (vf){*(const f32u *)(v12 + 8), *(const f32u *)(v12 + 264), *(const f32u *)(v12 + 520), *(const f32u *)(v12 + 776), *(const f32u *)(v12 + 1032), *(const f32u *)(v12 + 1288), *(const f32u *)(v12 + 1544), *(const f32u *)(v12 + 1800), *(const f32u *)(v12 + 2056), *(const f32u *)(v12 + 2312), *(const f32u *)(v12 + 2568), *(const f32u *)(v12 + 2824), *(const f32u *)(v12 + 3080), *(const f32u *)(v12 + 3336), *(const f32u *)(v12 + 3592), *(const f32u *)(v12 + 3848)};
    const vf v43 = v41 + v42;
    *(f32u *)(v5 + 12) = v43[0];
    *(f32u *)(v5 + 268) = v43[1];
    *(f32u *)(v5 + 524) = v43[2];
    *(f32u *)(v5 + 780) = v43[3];
    *(f32u *)(v5 + 1036) = v43[4];
    *(f32u *)(v5 + 1292) = v43[5];
    *(f32u *)(v5 + 1548) = v43[6];
    *(f32u *)(v5 + 1804) = v43[7];
    *(f32u *)(v5 + 2060) = v43[8];
    *(f32u *)(v5 + 2316) = v43[9];
    *(f32u *)(v5 + 2572) = v43[10];
    *(f32u *)(v5 + 2828) = v43[11];
    *(f32u *)(v5 + 3084) = v43[12];
    *(f32u *)(v5 + 3340) = v43[13];
    *(f32u *)(v5 + 3596) = v43[14];
    *(f32u *)(v5 + 3852) = v43[15];
    const vi v44 = __builtin_convertvector(*(const vu8u *)(v4), vi);
    const vi v45 = *(const viu *)(v4);
    const vi v46 = (vi)((vu)v45 << 3);
    const vi v47 = v44 | v46;
    const vi v48 = splat_vi(255);
    const vi v49 = v47 & v48;
    *(vu8u *)(v5 + 5) = __builtin_convertvector(v49, vu8);
    store_partial_vu8(v5 + 5, v49, v6);
    const vi v50 = __builtin_convertvector(*(const vu16u *)(v4 + 2), vi);
    const vf v51 = trunc_vf(v41);
    const vi v52 = __builtin_convertvector(v51, vi);
    const vi v53 = min_vi(v50, v52);
    *(vu16u *)(v5 + 6) = __builtin_convertvector(v53, vu16);
    const float v54 = reduce_add_vf(v8);
    const float v55 = reduce_max_vf(v8);
    const float v56 = reduce_min_vf(v8);
    const float v57 = v8[3];
    const float v58 = 0.10000000149011612f;
    const float v59 = v7 * v7 + v58;
    *(f32u *)(v5 + 32) = v54;
    *(f32u *)(v5 + 36) = v55;
    *(f32u *)(v5 + 40) = v56;
    *(f32u *)(v5 + 44) = v57;
    *(f32u *)(v5 + 48) = v59;
    const int32_t v60 = *(const uint8_t *)(v4 + 1);
    const int32_t v61 = 3;
    const int32_t v62 = v60 / v61;
    v63 = v62;
    for (;;) {
      const int32_t v64 = 0;
      const int32_t v65 = v63 > v64;
      if (!v65) break;
      const int32_t v66 = *(const u16u *)(v4 + 2);
      const int32_t v67 = v63 ^ v66;
      const int32_t v68 = 7;
      const int32_t v69 = v67 % v68;
      v63 = v69;
    }
    const int32_t v70 = v63 >> 1;
    *(uint8_t *)(v5 + 3) = (uint8_t)v70;
    char * v71 = *(char *const *)(v4 + 8);
    const int32_t v72 = *(const i32u *)(v71);
    const int32_t v73 = (int32_t)((uint32_t)v72 >> 16);
    *(u16u *)(v5 + 2) = (uint16_t)v73;
    const vi v74 = splat_vi(9);
    const vi v75 = (vi)(v49 < v74);
    const vf v76 = (vf)v49;
    const vi v77 = (vi)v76;
    const vi v78 = splat_vi(-3);
    const vi v79 = max_vi(v49, v78);
    const vi v80 = select_vi(v75, v77, v79);
    *(viu *)(scratch) = v80;
    const float v81 = sqrt_f32(v7);
    const float v82 = (float)v6;
    const float v83 = min_f32(v81, v82);
    const float v84 = nearest_f32(v83);
    const int32_t v85 = (int32_t)v84;
    *(i32u *)(v5 + 60) = v85;
  }
}

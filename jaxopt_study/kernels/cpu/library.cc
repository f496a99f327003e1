// What XLA calls: the handlers of calls.py and pixels.py, which know the shapes.

#include "block.h"
#include "images.h"
#include "measures.h"
#include "pixels.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;
using namespace study;
using Floats = ffi::Buffer<ffi::F32>;
using FloatsOut = ffi::ResultBuffer<ffi::F32>;
using Bits = ffi::Buffer<ffi::U32>;

// Of an array [channels, rows, columns, batch].
template <typename Array>
static Shape shape_of(Array&& array) {
  const auto sides = array.dimensions();
  return Shape(int(sides[0]), int(sides[1]), int(sides[2]), int(sides[3]));
}

// Null for an array without elements: what is not given, or not asked for.
template <typename Array>
static auto pointer(Array&& array) {
  return array.element_count() ? array.typed_data() : nullptr;
}

// Running statistics with elements are what an evaluation normalizes by; in training they have none.
static ffi::Error block(Floats x, Floats kernel, Floats shift, Floats bias, Floats scale, Floats offset,
                          Floats running_mean, Floats running_variance, Bits seed, FloatsOut result, FloatsOut active,
                          ffi::ResultBuffer<ffi::U8> chosen, FloatsOut mean, FloatsOut variance, float epsilon,
                          int32_t layer, float rate, int32_t examples) {
  const Shape out = shape_of(*active);
  const Parameters of{kernel.typed_data(), pointer(shift), bias.typed_data(), scale.typed_data(),
                      offset.typed_data(), epsilon, examples};
  const bool evaluation = running_mean.element_count() > 0;
  activations(x.typed_data(), shape_of(x), of, active->typed_data(), chosen->typed_data(), out, pointer(*mean),
              pointer(*variance));
  const Dropout dropout(seed.typed_data(), uint32_t(layer), evaluation ? 0.0f : rate,
                        out.channels * out.plane / out.batch * examples);
  normalize(active->typed_data(), out, of, evaluation ? running_mean.typed_data() : mean->typed_data(),
            evaluation ? running_variance.typed_data() : variance->typed_data(), dropout, result->typed_data(),
            shape_of(*result));
  return ffi::Error::Success();
}

static ffi::Error block_gradient(Floats x, Floats kernel, Floats scale, Bits seed, Floats active,
                           ffi::Buffer<ffi::U8> chosen, Floats mean, Floats variance, Floats gradient, FloatsOut d_x,
                           FloatsOut d_kernel, FloatsOut d_shift, FloatsOut d_bias, FloatsOut d_scale,
                           FloatsOut d_offset, FloatsOut routed, FloatsOut scratch, float epsilon, int32_t layer,
                           float rate, int32_t examples) {
  const Shape out = shape_of(active), full = shape_of(*routed);
  const Parameters of{kernel.typed_data(), nullptr, nullptr, scale.typed_data(), nullptr, epsilon, examples};
  const Dropout dropout(seed.typed_data(), uint32_t(layer), rate, out.channels * out.plane / out.batch * examples);
  unnormalize(gradient.typed_data(), shape_of(gradient), active.typed_data(), chosen.typed_data(), out, of,
              mean.typed_data(), variance.typed_data(), dropout, routed->typed_data(), full, d_bias->typed_data(),
              d_scale->typed_data(), d_offset->typed_data(), pointer(*d_shift));
  kernel_gradient(x.typed_data(), shape_of(x), routed->typed_data(), full, 2 * out.rows, 2 * out.columns,
                  d_kernel->typed_data(), scratch->typed_data());
  if (d_x->element_count())
    input_gradient(routed->typed_data(), full, kernel.typed_data(), d_x->typed_data(), shape_of(x),
                   scratch->typed_data());
  return ffi::Error::Success();
}

// Of an array [images, rows, columns, channels].
template <typename Array>
static Image image_of(Array&& array) {
  const auto sides = array.dimensions();
  return Image(int(sides[1]), int(sides[2]), int(sides[3]));
}

static ffi::Error convolution(Floats x, Floats kernel, FloatsOut y, int32_t down, int32_t right) {
  const auto sides = kernel.dimensions();
  convolve_images(x.typed_data(), image_of(x), int(x.dimensions()[0]), kernel.typed_data(),
                  {int(sides[0]), int(sides[1]), down, right}, y->typed_data(), image_of(*y));
  return ffi::Error::Success();
}

static ffi::Error convolution_gradient(Floats x, Floats dy, FloatsOut gradient, int32_t down, int32_t right) {
  const auto sides = gradient->dimensions();
  image_kernel_gradient(x.typed_data(), image_of(x), int(x.dimensions()[0]), dy.typed_data(), image_of(dy),
                        {int(sides[0]), int(sides[1]), down, right}, gradient->typed_data());
  return ffi::Error::Success();
}

// Mean and variance without elements are not asked for, and nothing is normalized.
static ffi::Error pixels(ffi::Buffer<ffi::U8> images, FloatsOut result, FloatsOut mean, FloatsOut variance,
                         float epsilon) {
  const auto sides = images.dimensions();
  const Shape of{int(sides[3]), int(sides[1]), int(sides[2]), int(sides[0])};
  std::vector<float> less(of.channels, 0.0f), times(of.channels, 1.0f);
  if (mean->element_count() > 0) {
    pixel_moments(images.typed_data(), of, mean->typed_data(), variance->typed_data());
    for (int c = 0; c < of.channels; c++) {
      less[c] = mean->typed_data()[c];
      times[c] = inverse(variance->typed_data()[c], epsilon);
    }
  }
  read_pixels(images.typed_data(), of, less.data(), times.data(), result->typed_data(), shape_of(*result));
  return ffi::Error::Success();
}

// Arguments: gradients, updates, weights, each `count` arrays, and signs. Results: the new weights, the new signs, and
// the sums. Arrays of at least `alone` numbers have signs by themselves, in order; the others share the last.
static ffi::Error measures(ffi::RemainingArgs arguments, ffi::RemainingRets results, int32_t count, int64_t alone) {
  const auto array = [&](int which, int i) { return arguments.get<ffi::AnyBuffer>(which * count + i).value(); };
  Measures found;
  const auto result = [&](int i) { return (*results.get<ffi::AnyBuffer>(i))->untyped_data(); };
  const int sums_at = int(results.size()) - 1, last = sums_at - count - 1;
  int next = 0;
  ptrdiff_t shared = 0;
  for (int i = 0; i < count; i++) {
    const ptrdiff_t size = ptrdiff_t(array(0, i).element_count());
    const int of = size >= alone ? next++ : last;
    const ptrdiff_t at = size >= alone ? 0 : shared;
    if (size < alone) shared += size;
    const auto numbers = [&](int which) { return static_cast<const float*>(array(which, i).untyped_data()); };
    auto* after = static_cast<int8_t*>(result(count + of));
    const auto* before = static_cast<const int8_t*>(array(3, of).untyped_data());
    found.add(numbers(0), numbers(1), numbers(2), static_cast<float*>(result(i)), before + at, after + at, size);
  }
  if (shared) {
    const ptrdiff_t all = ptrdiff_t(array(3, last).element_count());
    memset(static_cast<int8_t*>(result(count + last)) + shared, 0, all - shared);
  }
  auto* sums = static_cast<float*>(result(sums_at));
  int64_t opposite = 0;
  for (int lane = 0; lane < LANES; lane++) opposite += found.opposite[lane];
  sums[0] = float(opposite);
  sums[1] = float(found.sizes);
  sums[2] = float(found.gradients);
  sums[3] = float(found.updates);
  sums[4] = float(found.weights);
  return ffi::Error::Success();
}

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jaxopt_study_measures, measures,
    ffi::Ffi::Bind().RemainingArgs().RemainingRets().Attr<int32_t>("count").Attr<int64_t>("alone"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxopt_study_pixels, pixels,
                              ffi::Ffi::Bind()
                                  .Arg<ffi::Buffer<ffi::U8>>()  // images
                                  .Ret<Floats>()                // result
                                  .Ret<Floats>()                // mean
                                  .Ret<Floats>()                // variance
                                  .Attr<float>("epsilon"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxopt_study_convolution, convolution,
                              ffi::Ffi::Bind()
                                  .Arg<Floats>()  // x
                                  .Arg<Floats>()  // kernel
                                  .Ret<Floats>()  // y
                                  .Attr<int32_t>("down")
                                  .Attr<int32_t>("right"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxopt_study_convolution_gradient, convolution_gradient,
                              ffi::Ffi::Bind()
                                  .Arg<Floats>()  // x
                                  .Arg<Floats>()  // gradient of y
                                  .Ret<Floats>()  // of the kernel
                                  .Attr<int32_t>("down")
                                  .Attr<int32_t>("right"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxopt_study_block, block,
                              ffi::Ffi::Bind()
                                  .Arg<Floats>()  // x
                                  .Arg<Floats>()  // kernel
                                  .Arg<Floats>()  // shift
                                  .Arg<Floats>()  // bias
                                  .Arg<Floats>()  // scale
                                  .Arg<Floats>()  // offset
                                  .Arg<Floats>()  // running mean
                                  .Arg<Floats>()  // running variance
                                  .Arg<Bits>()    // seed
                                  .Ret<Floats>()  // result
                                  .Ret<Floats>()  // active
                                  .Ret<ffi::Buffer<ffi::U8>>()  // chosen
                                  .Ret<Floats>()                // mean
                                  .Ret<Floats>()                // variance
                                  .Attr<float>("epsilon")
                                  .Attr<int32_t>("layer")
                                  .Attr<float>("rate")
                                  .Attr<int32_t>("examples"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxopt_study_block_gradient, block_gradient,
                              ffi::Ffi::Bind()
                                  .Arg<Floats>()                // x
                                  .Arg<Floats>()                // kernel
                                  .Arg<Floats>()                // scale
                                  .Arg<Bits>()                  // seed
                                  .Arg<Floats>()                // active
                                  .Arg<ffi::Buffer<ffi::U8>>()  // chosen
                                  .Arg<Floats>()                // mean
                                  .Arg<Floats>()                // variance
                                  .Arg<Floats>()                // gradient
                                  .Ret<Floats>()                // of x
                                  .Ret<Floats>()                // of the kernel
                                  .Ret<Floats>()                // of the shift
                                  .Ret<Floats>()                // of the bias
                                  .Ret<Floats>()                // of the scale
                                  .Ret<Floats>()                // of the offset
                                  .Ret<Floats>()                // routed
                                  .Ret<Floats>()                // scratch
                                  .Attr<float>("epsilon")
                                  .Attr<int32_t>("layer")
                                  .Attr<float>("rate")
                                  .Attr<int32_t>("examples"));

extern "C" int jaxopt_study_lanes() { return LANES; }

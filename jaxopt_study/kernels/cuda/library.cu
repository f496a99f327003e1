// What XLA calls: the handlers of kernels/calls.py, which says what goes in and comes out. The same file is
// compiled for a GPU and, so that values can be tested without one, for the host.

#include "backward.h"
#include "gradients.h"
#include "measures.h"
#include "operands.h"
#include "units.h"
#include "units_gradients.h"

using namespace study;

#ifdef __CUDACC__
typedef ffi::PlatformStream<cudaStream_t> Context;
static const char* fault() {
  cudaFuncAttributes found;
  const cudaError_t error = cudaFuncGetAttributes(&found, run<Moments>);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}
static ffi::Error launched() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? ffi::Error::Success() : ffi::Error::Internal(cudaGetErrorString(error));
}
#else
typedef ffi::ThreadPool Context;
static const char* fault() { return nullptr; }
static ffi::Error launched() { return ffi::Error::Success(); }
#endif

// What one kernel wrote, for the next.
template <typename Number>
static Each<const Number> read(Each<Number> written) {
  return {written.data, written.stride};
}

template <int FILTERS, int WINDOWS, int BATCH, int READS>
static int activate(Stream stream, int k, const Activation& of) {
  const Activate<FILTERS, WINDOWS, BATCH, READS> kernel{of};
  const int blocks = (of.out.channels + FILTERS - 1) / FILTERS;
  launch(kernel, stream, kernel.warps(), blocks, k, of.in.channels * kernel.FLOATS);
  return kernel.warps();
}

template <int PRODUCTS, int BATCH, int READS>
static int multiply(Stream stream, int k, const Activation& of) {
  const Multiply<PRODUCTS, BATCH, READS> kernel{of};
  launch(kernel, stream, kernel.warps(), of.out.channels / ROWS, k, of.in.channels / DEPTH * kernel.FLOATS);
  return kernel.warps();
}

constexpr int MOST_SHARED = 48 * 1024 / sizeof(float);  // by a block of warps

// On tensor cores, for blocks of these sides: the kernels of 16 filters, forward, and those of 8 channels, backward,
// must fit into what a block of warps may share.
static bool fits_units(const Shape& in, const Shape& out) {
  return in.channels % DEPTH == 0 && in.channels / DEPTH * Multiply<3, 0, 1>::FLOATS <= MOST_SHARED &&
         out.channels % ROWS == 0 && out.channels / DEPTH * MultiplyForInput<3, 1, 0>::FLOATS <= MOST_SHARED;
}
template <int BATCH>
static int multiply(Stream stream, int k, const Activation& of, int products) {
  const bool reads = of.before.mean.data;
  const auto run = products == 3 ? reads ? multiply<3, BATCH, 1> : multiply<3, BATCH, 0>
                   : reads       ? multiply<1, BATCH, 1>
                                 : multiply<1, BATCH, 0>;
  return run(stream, k, of);
}

// Returns how many warps there were. No block of the network that has one before it has as few as 4 filters.
template <int BATCH>
static int activate(Stream stream, int k, const Activation& of) {
  const bool few = of.out.columns < 2;
  if (of.before.mean.data) return (few ? activate<8, 1, BATCH, 1> : activate<8, 2, BATCH, 1>)(stream, k, of);
  const auto run = of.out.channels <= 4 ? of.out.columns >= 4 ? activate<4, 4, BATCH, 0> : activate<4, 1, BATCH, 0>
                   : few ? activate<8, 1, BATCH, 0>
                         : activate<8, 2, BATCH, 0>;
  return run(stream, k, of);
}

// What the dropout of a rate multiplies by what it keeps.
static Before before(Operands& of, float epsilon, float rate) {
  const Floats mean = of.next(1), variance = of.next(1), scale = of.next(1), offset = of.next(1);
  return {epsilon, Rate(0, rate).factor, mean, variance, scale, offset};
}

constexpr char NO_SHIFT[] = "a shift has the kernels in C++ alone; allowed is one without elements";

// Running statistics with elements are what an evaluation normalizes by; in training they have none. The last four
// arguments are the batch norm of the block before, if x is its activations; a result without elements is left to the
// block that follows.
static ffi::Error block(Stream stream, ffi::RemainingArgs arguments, ffi::RemainingRets results, float epsilon,
                        int32_t layer, float rate, float rate_before, int32_t products) {
  Operands of(arguments, results, 1);
  const int k = of.count();
  const Shape in = of.argument_shape(0), stored = of.result_shape(1), out = of.result_shape(2);
  const Floats x = of.next(4), kernel = of.next(4), shift = of.next(4), bias = of.next(1), scale = of.next(1),
               offset = of.next(1), given_mean = of.next(1), given_variance = of.next(1);
  const auto seed = of.next<uint32_t>(1);
  const bool evaluation = given_mean.data;
  const Before previous = before(of, epsilon, evaluation ? 0.0f : rate_before);
  const FloatsOut result = of.next_result(4), active = of.next_result(4);
  const auto chosen = of.next_result<uint8_t>(4);
  const FloatsOut mean = of.next_result(1), variance = of.next_result(1), parts = of.next_result(3);
  if (of.fault()) return ffi::Error::InvalidArgument(of.fault());
  if (shift.data) return ffi::Error::InvalidArgument(NO_SHIFT);

  const Rate dropout(uint32_t(layer), evaluation ? 0.0f : rate);
  const Activation activation{in, out, stored, dropout, seed, previous, x, kernel, bias, active, chosen, parts};
  const bool whole = in.batch == LANES;
  const int warps = products && fits_units(in, out)
                        ? (whole ? multiply<LANES> : multiply<0>)(stream, k, activation, products)
                        : (whole ? activate<LANES> : activate<0>)(stream, k, activation);
  if (!evaluation) launch(Moments{out.channels, warps, read(parts), mean, variance}, stream, out.channels, 1, k);
  if (!result.data) return launched();
  const Shape padded = of.result_shape(0);
  const Norm norm{out, stored, padded, epsilon, dropout.factor, read(active),
                  evaluation ? given_mean : read(mean), evaluation ? given_variance : read(variance), scale};
  launch(Normalize{norm, offset, result}, stream, padded.rows, out.channels, k);
  return launched();
}

template <int CHANNELS, int FILTERS, int BATCH, int READS>
static void kernel_gradient(Stream stream, int k, const Convolution& of, const Before& before, int parts,
                            FloatsOut gradient) {
  const KernelGradient<CHANNELS, FILTERS, BATCH, READS> kernel{of, before, parts, gradient};
  launch(kernel, stream, kernel.warps(), 1, k, READS * of.in.channels * Before::FLOATS);
}

template <int CHANNELS, int WINDOWS, int BATCH>
static void input_gradient(Stream stream, int k, const Convolution& of, FloatsOut gradient) {
  const InputGradient<CHANNELS, WINDOWS, BATCH> kernel{of, gradient};
  const int blocks = (of.in.channels + CHANNELS - 1) / CHANNELS;
  launch(kernel, stream, kernel.warps(), blocks, k, of.out.channels * 9 * CHANNELS);
}

template <int PRODUCTS, int BATCH, int READS>
static void multiply_for_kernel(Stream stream, int k, const Convolution& of, const Before& before, int parts,
                                FloatsOut gradient) {
  const MultiplyForKernel<PRODUCTS, BATCH, READS> kernel{of, before, parts, gradient};
  launch(kernel, stream, kernel.warps(), 1, k, READS * of.in.channels * Before::FLOATS);
}

template <int PRODUCTS, int EIGHTS, int BATCH>
static void multiply_for_input(Stream stream, int k, const Convolution& of, FloatsOut gradient) {
  const MultiplyForInput<PRODUCTS, EIGHTS, BATCH> kernel{of, gradient};
  launch(kernel, stream, kernel.warps(), of.in.channels / kernel.CHANNELS, k, of.out.channels / DEPTH * kernel.FLOATS);
}

// A warp has 16 channels where they come so and their kernels fit.
template <int PRODUCTS, int BATCH>
static void multiply_for_input(Stream stream, int k, const Convolution& of, FloatsOut gradient) {
  const bool two = of.in.channels % 16 == 0 &&
                   of.out.channels / DEPTH * MultiplyForInput<PRODUCTS, 2, BATCH>::FLOATS <= MOST_SHARED;
  (two ? multiply_for_input<PRODUCTS, 2, BATCH> : multiply_for_input<PRODUCTS, 1, BATCH>)(stream, k, of, gradient);
}

// Gradients that are not asked for have no elements. The parts of the kernel's gradient are as many as there is room
// for in `partial`.
template <int BATCH>
static void gradients(Stream stream, int k, const Convolution& of, const Before& before, int products, int parts,
                      FloatsOut partial, FloatsOut d_kernel, FloatsOut d_x) {
  const bool reads = before.mean.data, few = of.out.channels <= 4;
  if (!fits_units(of.in, of.out)) products = 0;
  const auto of_kernel = products == 3   ? reads ? multiply_for_kernel<3, BATCH, 1> : multiply_for_kernel<3, BATCH, 0>
                         : products == 1 ? reads ? multiply_for_kernel<1, BATCH, 1> : multiply_for_kernel<1, BATCH, 0>
                         : reads         ? kernel_gradient<2, 8, BATCH, 1>
                         : few           ? kernel_gradient<4, 4, BATCH, 0>
                                         : kernel_gradient<2, 8, BATCH, 0>;
  of_kernel(stream, k, of, before, parts, parts == 1 ? d_kernel : partial);
  const int size = 9 * of.in.channels * of.out.channels;
  if (parts > 1) launch(Parts{parts, size, read(partial), d_kernel}, stream, (size + LANES - 1) / LANES, 1, k);
  if (!d_x.data) return;
  const auto of_input = products == 3         ? multiply_for_input<3, BATCH>
                        : products == 1       ? multiply_for_input<1, BATCH>
                        : of.in.channels <= 4 ? input_gradient<4, 4, BATCH>
                                              : input_gradient<8, 2, BATCH>;
  of_input(stream, k, of, d_x);
}

static ffi::Error block_gradient(Stream stream, ffi::RemainingArgs arguments, ffi::RemainingRets results,
                                 float epsilon, int32_t layer, float rate, float rate_before, int32_t products) {
  Operands of(arguments, results, 1);
  const int k = of.count();
  const Shape in = of.argument_shape(0), stored = of.argument_shape(4), out = of.argument_shape(5),
              padded = of.argument_shape(8);
  const Floats x = of.next(4), kernel = of.next(4), scale = of.next(1);
  const auto seed = of.next<uint32_t>(1);
  const Floats active = of.next(4);
  const auto chosen = of.next<uint8_t>(4);
  const Floats mean = of.next(1), variance = of.next(1), gradient = of.next(4);
  const Before previous = before(of, epsilon, rate_before);
  const FloatsOut d_x = of.next_result(4), d_kernel = of.next_result(4), d_shift = of.next_result(4),
                  d_bias = of.next_result(1), d_scale = of.next_result(1), d_offset = of.next_result(1),
                  pooled = of.next_result(4), sums = of.next_result(3);
  const int parts = of.result_shape(8).channels;
  const FloatsOut partial = of.next_result(4);
  if (of.fault()) return ffi::Error::InvalidArgument(of.fault());
  if (d_shift.data) return ffi::Error::InvalidArgument(NO_SHIFT);

  const Norm norm{out, stored, padded, epsilon, Rate(uint32_t(layer), rate).factor, active, mean, variance, scale};
  launch(Weigh{norm, gradient, sums}, stream, out.rows, out.channels, k);
  launch(Totals{out.channels, out.rows, read(sums), {d_offset, d_scale}}, stream, out.channels, 2, k);
  launch(Unnormalize{norm, gradient, read(d_scale), read(d_offset), pooled, sums}, stream, out.rows, out.channels, k);
  launch(Totals{out.channels, out.rows, read(sums), {d_bias}}, stream, out.channels, 1, k);
  const Convolution convolution{in, out, x, kernel, read(pooled), chosen};
  const auto run = in.batch == LANES ? gradients<LANES> : gradients<0>;
  run(stream, k, convolution, previous, products, parts, partial, d_kernel, d_x);
  return launched();
}

static ffi::Error measures(Stream stream, ffi::RemainingArgs arguments, ffi::RemainingRets results, int32_t count,
                           int64_t alone) {
  // Of each kind there are `count` arrays: gradients, updates, weights. Results are weights and signs, which lie where
  // those before the update did, then the sums, [5] a configuration, and room for those of the chunks.
  const auto argument = [&](int which, int i) { return *arguments.get<ffi::AnyBuffer>(which * count + i); };
  const auto result = [&](size_t i) { return **results.get<ffi::AnyBuffer>(i); };
  const auto data = [](ffi::AnyBuffer array) { return static_cast<float*>(array.untyped_data()); };
  const size_t sums_at = results.size() - 2, shared_at = sums_at - 1;
  const int64_t k = int64_t(result(sums_at).element_count()) / 5;
  const int all = int(result(sums_at + 1).element_count() / (5 * k));
  const FloatsOut sums{data(result(sums_at)), 5}, parts{data(result(sums_at + 1)), ptrdiff_t(5) * all};

  size_t alone_at = count;
  ptrdiff_t shared = 0;
  Measure kernel{{}, 0, 0, 0, all, parts};
  for (int i = 0; i < count; i++) {
    const int64_t size = int64_t(argument(0, i).element_count()) / k;
    if (size > INT32_MAX) return ffi::Error::InvalidArgument("an array has more than 2^31 - 1 elements");
    const bool small = size < alone;
    const auto signs = result(small ? shared_at : alone_at);
    auto* sign = static_cast<uint8_t*>(signs.untyped_data()) + (small ? shared : 0);
    if (small)
      shared += size;
    else
      alone_at++;
    kernel.arrays[kernel.count++] = {data(argument(0, i)), data(argument(1, i)), data(result(i)), sign,
                                     ptrdiff_t(signs.element_count()) / k, int(size), kernel.first + kernel.chunks};
    kernel.chunks += Measure::chunks_of(int(size));
    if (kernel.count < Measure::ARRAYS && i + 1 < count) continue;
    launch(kernel, stream, kernel.chunks, 1, int(k));
    kernel.first += kernel.chunks;
    kernel.count = kernel.chunks = 0;
  }
  launch(Totals{5, all, read(parts), {sums}}, stream, 5, 1, int(k));
  return launched();
}

static auto binding() {
  return ffi::Ffi::Bind()
      .Ctx<Context>()
      .RemainingArgs()
      .RemainingRets()
      .Attr<float>("epsilon")
      .Attr<int32_t>("layer")
      .Attr<float>("rate")
      .Attr<float>("rate_before")
      .Attr<int32_t>("products");
}

// A call is part of a CUDA graph, which its launches go into as they are.
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxopt_study_cuda_block, block, binding(), {ffi::Traits::kCmdBufferCompatible});
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxopt_study_cuda_block_gradient, block_gradient, binding(),
                              {ffi::Traits::kCmdBufferCompatible});
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jaxopt_study_cuda_measures, measures,
    ffi::Ffi::Bind().Ctx<Context>().RemainingArgs().RemainingRets().Attr<int32_t>("count").Attr<int64_t>("alone"),
    {ffi::Traits::kCmdBufferCompatible});

extern "C" int jaxopt_study_cuda_lanes() { return LANES; }

// Why the kernels cannot run on the GPU at hand, or null.
extern "C" const char* jaxopt_study_cuda_fault() { return fault(); }

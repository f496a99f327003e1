// The arguments and results of a call, in order. Axes before those of one configuration are configurations; where all
// are of length 1 and there are more configurations, these share the array.

#pragma once

#include "arrays.h"
#include "xla/ffi/api/ffi.h"

namespace study {

namespace ffi = xla::ffi;

class Operands {
 public:
  // There are as many configurations as this result has, whose own axes are four.
  Operands(ffi::RemainingArgs arguments, ffi::RemainingRets results, size_t index)
      : arguments_(arguments), results_(results), count_(configurations(result(index).dimensions(), 4)) {}

  int count() const { return int(count_); }

  // The sides of an image or of a stack of kernels, all of its last four axes.
  Shape argument_shape(size_t index) const { return shape(argument(index).dimensions()); }
  Shape result_shape(size_t index) const { return shape(result(index).dimensions()); }

  // The next argument and the next result, null if it has no elements.
  template <typename Number = float>
  Each<const Number> next(size_t rank) {
    return each<const Number>(argument(next_++), rank);
  }
  template <typename Number = float>
  Each<Number> next_result(size_t rank) {
    return each<Number>(result(next_result_++), rank);
  }

  // What is wrong with them, found while they were read.
  const char* fault() const { return fault_; }

 private:
  ffi::AnyBuffer argument(size_t index) const { return *arguments_.get<ffi::AnyBuffer>(index); }
  ffi::AnyBuffer result(size_t index) const { return **results_.get<ffi::AnyBuffer>(index); }

  static int64_t configurations(ffi::Span<const int64_t> sides, size_t rank) {
    int64_t count = 1;
    for (size_t i = 0; i + rank < sides.size(); i++) count *= sides[i];
    return count;
  }

  static Shape shape(ffi::Span<const int64_t> sides) {
    const auto side = [&](size_t from_last) { return int(sides[sides.size() - from_last]); };
    return {side(4), side(3), side(2), side(1)};
  }

  template <typename Number>
  Each<Number> each(ffi::AnyBuffer array, size_t rank) {
    const int64_t size = array.element_count(), number = configurations(array.dimensions(), rank);
    if (size == 0) return {};
    if (number != 1 && number != count_) fault_ = "the axes of several vmaps are mixed; allowed is one vmap";
    if (size / number > INT32_MAX) fault_ = "an array of one configuration has more than 2^31 - 1 elements";
    return {static_cast<Number*>(array.untyped_data()), number == 1 ? 0 : ptrdiff_t(size / number)};
  }

  ffi::RemainingArgs arguments_;
  ffi::RemainingRets results_;
  int64_t count_;
  size_t next_ = 0, next_result_ = 0;
  const char* fault_ = nullptr;
};

}  // namespace study

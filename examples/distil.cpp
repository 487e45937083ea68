// A C++17 program: handles in unique_ptr, errors as exceptions, a CSV file in memory's place, a
// soft and a hard term.
#include <kdistill.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace kd {
inline kd_status check(kd_status status)
{
    if (status < 0)
        throw std::runtime_error(std::string(kd_status_name(status)) + ": " + kd_last_error());
    return status;
}
template <auto Free> struct deleter {
    template <typename T> void operator()(T *handle) const { Free(handle); }
};
template <typename T, auto Free> using handle = std::unique_ptr<T, deleter<Free>>;

using context = handle<kd_context, kd_context_free>;
using batch = handle<kd_batch, kd_batch_free>;
using targets = handle<kd_targets, kd_targets_free>;
using model = handle<kd_model, kd_model_free>;
using loss = handle<kd_loss, kd_loss_free>;
using optimizer = handle<kd_optimizer, kd_optimizer_free>;

template <typename Handle, typename Create, typename... Arguments>
Handle make(Create create, Arguments... arguments)
{
    typename Handle::pointer raw = nullptr;
    check(create(&raw, arguments...));
    return Handle(raw);
}
} // namespace kd

int main()
try {
    constexpr int64_t rows = 300, dims = 2, classes = 2;
    std::vector<float> x(rows * dims), teacher(rows * classes);
    std::vector<int64_t> labels(rows);
    for (int64_t r = 0; r < rows; r++) { // two rings: the teacher is sure far from the border
        const float angle = 0.37f * static_cast<float>(r), radius = r % 2 ? 1.5f : 0.5f;
        x[2 * r] = radius * std::cos(angle);
        x[2 * r + 1] = radius * std::sin(angle);
        labels[r] = r % 2;
        teacher[2 * r + r % 2] = 3;
    }
    auto ctx = kd::make<kd::context>(kd_context_create, nullptr);
    auto student = kd::make<kd::model>(
        kd_model_create, ctx.get(),
        R"({"model_type": "mlp", "input_size": 2, "hidden_sizes": [32, 16], "num_labels": 2,
             "hidden_act": "tanh"})",
        nullptr);
    auto loss = kd::make<kd::loss>(kd_loss_create, ctx.get(), nullptr);
    kd_term_options soft = KD_TERM_OPTIONS_INIT;
    soft.temperature = 2;
    kd::check(kd_loss_add(loss.get(), KD_LOSS_FORWARD_KL, 0.7, &soft, nullptr));
    kd::check(kd_loss_add(loss.get(), KD_LOSS_CROSS_ENTROPY, 0.3, nullptr, nullptr));
    auto optimizer =
        kd::make<kd::optimizer>(kd_optimizer_create, ctx.get(), KD_OPTIMIZER_ADAMW, nullptr);
    kd::check(kd_optimizer_add_model(optimizer.get(), student.get()));

    auto batch = kd::make<kd::batch>(kd_batch_create, ctx.get(), nullptr);
    auto targets = kd::make<kd::targets>(kd_targets_create, ctx.get(), nullptr);
    const kd_array xs = KD_ARRAY_2D(x.data(), KD_FLOAT32, rows, dims),
                   ys = KD_ARRAY_1D(labels.data(), KD_INT64, rows);
    const kd_array vs = KD_ARRAY_2D(teacher.data(), KD_FLOAT32, rows, classes);
    kd_loss_result result{};
    result.struct_size = sizeof result;
    for (int step = 0; step < 300; step++) {
        kd::check(kd_batch_begin(batch.get(), rows));
        kd::check(kd_batch_borrow(batch.get(), "inputs", &xs, nullptr));
        kd::check(kd_batch_borrow(batch.get(), "label", &ys, nullptr));
        kd::check(kd_targets_begin(targets.get(), rows));
        kd::check(kd_targets_borrow(targets.get(), "logits", &vs, nullptr));
        kd::check(kd_model_forward(student.get(), batch.get(), KD_MODE_TRAIN));
        kd::check(kd_loss_backward(loss.get(), student.get(), batch.get(), targets.get(), nullptr,
                                   &result));
        kd::check(kd_optimizer_step(optimizer.get(), 0.01));
    }
    std::printf("loss %.4f after 300 steps\n", result.value);
    return result.value < 0.1 ? 0 : 1;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}

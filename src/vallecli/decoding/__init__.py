"""The decoding engine: continuous batching of any causal model, sampling, a static KV cache, CUDA graphs."""

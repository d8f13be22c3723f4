"""The bundled weights as a GGUF file, for llama.cpp and what builds on it (needs the `gguf` package).

    python -m maker.models.neural.gguf neural.gguf [neural|early|FILE.safetensors]

Promises: the file holds the same numbers (as float32), the same vocabulary and the same layout of
the prompt, so that a llama.cpp server writes the same greedy text. Every piece is a user-defined
token, which llama.cpp cuts out of the text longest first, and nothing is put before the prompt. The
chat template is the bare content of the messages, so chat routes work as well.

Not covered: refusing prompts (llama.cpp reads text it has no token for as the end token), and editions with runs of
disks as pieces, such as neural-2: llama.cpp cuts out the longest pieces of a whole text first, wherever they stand,
and so not the ones that come first.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maker.errors import ModelError
from maker.models.neural.bundled import weight_file
from maker.models.neural.sampler import CONTEXT
from maker.models.neural.vocabulary import edition
from maker.models.neural.weights import Shape, Weights, read_edition, read_weights

_NAMES = {
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_output",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
    "norm_attention": "attn_norm",
    "norm_feed": "ffn_norm",
}
_CHAT = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def export(path: str | Path, weights: str | Path | None = None) -> None:
    """Write the GGUF file `path` from the bundled (or another) weight file.

    Raises ModelError for a damaged weight file and another edition than neural-1, ImportError without `gguf`.
    """
    import gguf  # noqa: PLC0415  only here is the package needed

    source, checksum = weight_file(weights)
    tensors, shape = read_weights(source, np.float32, checksum)
    v = edition(read_edition(source))
    if v.edition != "neural-1":
        raise ModelError(f"{source} is of the edition {v.edition}: llama.cpp would cut its text into other tokens.")
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("maker-neural")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    kinds = [gguf.TokenType.CONTROL if i == v.end else gguf.TokenType.USER_DEFINED for i in range(v.size)]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(v.pieces))
    writer.add_token_scores([0.0] * v.size)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(v.end)  # never added, but the format wants one
    writer.add_eos_token_id(v.end)
    writer.add_unk_token_id(v.end)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(_CHAT)
    for name, tensor in _renamed(tensors, shape).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _renamed(tensors: Weights, shape: Shape) -> dict[str, NDArray[np.float32]]:
    """Return the tensors as llama.cpp wants them: [out, in], its names, its order inside q and k."""
    made = {
        "token_embd.weight": tensors["embed"],
        "output_norm.weight": tensors["norm"],
        "output.weight": tensors["head"].T,
    }
    for layer in range(shape.layers):
        for ours, theirs in _NAMES.items():
            tensor = tensors[f"{layer}.{ours}"].T
            if ours in ("q", "k"):
                tensor = _interleaved(tensor, shape.head_dim)
            made[f"blk.{layer}.{theirs}.weight"] = tensor
    return {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in made.items()}


def _interleaved(matrix: NDArray[np.float32], head_dim: int) -> NDArray[np.float32]:
    """Reorder rows: we rotate the two halves of a head against each other, llama.cpp neighbours."""
    heads = matrix.reshape(-1, 2, head_dim // 2, matrix.shape[1])
    return heads.swapaxes(1, 2).reshape(matrix.shape)


if __name__ == "__main__":
    export(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)

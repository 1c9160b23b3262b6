/**
 * Fields of published configurations that change no forward pass: what training, sampling, saving and the Python code itself take. A family
 * that reads one of them declares it among its fields.
 */
const names = new Set(
  `
  name_or_path transformers_version transformers.js_config torch_dtype dtype torchscript use_bfloat16 tf_legacy_loss return_dict
  use_return_dict output_attentions output_hidden_states output_scores output_router_logits onnx_export use_cache gradient_checkpointing
  attn_implementation finetuning_task task_specific_params problem_type tokenizer_class language label2id num_labels
  chunk_size_feed_forward chunk_size_lm_head model_max_length pretraining_tp slow_but_exact

  dropout dropout_rate activation_dropout attention_dropout attention_probs_dropout_prob hidden_dropout hidden_dropout_prob attn_pdrop
  embd_pdrop resid_pdrop embed_dropout embedding_dropout mlp_dropout resid_dropout classifier_dropout classifier_dropout_prob
  classif_dropout seq_classif_dropout qa_dropout decoder_layerdrop encoder_layerdrop layerdrop dropatt summary_first_dropout
  summary_last_dropout local_attention_probs_dropout_prob lsh_attention_probs_dropout_prob router_jitter_noise jitter_noise

  initializer_range initializer_factor initializer_std initializer_cutoff_factor init init_range init_std proj_init_std axial_norm_std
  rescale_prenorm_residual reset_params

  reorder_and_upcast_attn n_ctx summary_type summary_use_proj summary_activation summary_proj_to_labels

  router_aux_loss_coef router_z_loss_coef ignore_index sparse_pred_ignore_index repad_logits_with_grad

  bad_words_ids begin_suppress_tokens diversity_penalty do_sample early_stopping encoder_no_repeat_ngram_size
  exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id length_penalty max_length min_length max_new_tokens
  no_repeat_ngram_size num_beam_groups num_beams num_return_sequences prefix remove_invalid_values repetition_penalty
  return_dict_in_generate suppress_tokens temperature top_k top_p typical_p
  `
    .trim()
    .split(/\s+/),
);

/** Whether a field changes no result, whatever it holds. Names that begin with `_` are the Python code's own. */
export const harmless = (name: string): boolean => name.startsWith('_') || names.has(name);

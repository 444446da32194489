// SPDX-License-Identifier: BSD-2-Clause
/* What each API's paths mean.  Paths that name a model come before those that count
 * behind any prefix, so that /predictions/v1/score is TorchServe's model v1. */
#include "userspace/model/path_table.h"

#include "userspace/base/cleanup.h"

#define BLOCKED(path)                                                                              \
	{                                                                                          \
		NULL, path, MODEL_PLACE_BLOCKED, PATH_BELOW                                        \
	}
#define IN_PATH(method, path)                                                                      \
	{                                                                                          \
		method, path, MODEL_PLACE_PATH                                                     \
	}
#define IN_PATH_ANY_CASE(method, path)                                                             \
	{                                                                                          \
		method, path, MODEL_PLACE_PATH, PATH_ANY_CASE                                      \
	}
#define MANAGEMENT(path)                                                                           \
	{                                                                                          \
		"POST", path, MODEL_PLACE_PATH, PATH_MANAGEMENT                                    \
	}
#define IN_PROTO(path, ...)                                                                        \
	{                                                                                          \
		"POST", path, MODEL_PLACE_PROTO, 0,                                                \
		{                                                                                  \
			{__VA_ARGS__}, false                                                       \
		}                                                                                  \
	}
#define IN_PROTO_JSON(path, ...)                                                                   \
	{                                                                                          \
		"POST", path, MODEL_PLACE_PROTO, 0,                                                \
		{                                                                                  \
			{__VA_ARGS__}, true                                                        \
		}                                                                                  \
	}
#define IN_BODY(path)                                                                              \
	{                                                                                          \
		"POST", path, MODEL_PLACE_BODY                                                     \
	}
#define IN_BODY_ANYWHERE(path)                                                                     \
	{                                                                                          \
		"POST", path, MODEL_PLACE_BODY, PATH_ANYWHERE                                      \
	}
#define IN_FORM_ANYWHERE(path)                                                                     \
	{                                                                                          \
		"POST", path, MODEL_PLACE_FORM, PATH_ANYWHERE                                      \
	}

#define GOOGLE_VERBS                                                                               \
	"(generateContent|streamGenerateContent|countTokens|computeTokens|embedContent|"           \
	"batchEmbedContents|predict|rawPredict|streamRawPredict|serverStreamingPredict)"
#define TENSORFLOW_VERBS "(predict|classify|regress|explain)"
#define KSERVE "/inference.GRPCInferenceService/"
#define TENSORFLOW "/tensorflow.serving."
#define TORCHSERVE "/org.pytorch.serve.grpc."

const struct path_row path_table[] = {
	/* servers' own pages and switches */
	BLOCKED("/metrics"),
	BLOCKED("/health"),
	BLOCKED("/v1/load_lora_adapter"),
	BLOCKED("/v1/unload_lora_adapter"),
	BLOCKED("/sleep"),
	BLOCKED("/wake_up"),
	BLOCKED("/pause"),
	BLOCKED("/reset_prefix_cache"),
	BLOCKED("/flush_cache"),
	BLOCKED("/update_weights_from_disk"),
	BLOCKED("/collective_rpc"),
	BLOCKED("/start_profile"),
	BLOCKED("/stop_profile"),
	BLOCKED("/api/pull"),
	BLOCKED("/api/delete"),
	BLOCKED("/slots"),
	BLOCKED("/props"),
	BLOCKED("/abort_request"),
	MANAGEMENT("/v2/repository/models/<*>/(load|unload)"),

	/* OpenAI's bodies, by far the most */
	IN_BODY("/v1/chat/completions"),
	IN_BODY("/v1/completions"),

	/* KServe v2 (Open Inference Protocol), Triton */
	IN_PATH("POST", "/v2/models/<*>/(infer|generate|generate_stream|explain)"),
	IN_PATH("POST", "/v2/models/<*>/versions/[*]/(infer|generate|generate_stream|explain)"),
	IN_PATH("GET", "/v2/models/<*>"),
	IN_PATH("GET", "/v2/models/<*>/(ready|config|stats)"),
	IN_PATH("GET", "/v2/models/<*>/versions/[*]"),
	IN_PATH("GET", "/v2/models/<*>/versions/[*]/(ready|config|stats)"),

	/* TensorFlow Serving, KServe v1 */
	IN_PATH_ANY_CASE("POST", "/v1/models/<*>:" TENSORFLOW_VERBS),
	IN_PATH_ANY_CASE("POST", "/v1/models/<*>/versions/[#]:" TENSORFLOW_VERBS),
	IN_PATH_ANY_CASE("POST", "/v1/models/<*>/labels/{*}:" TENSORFLOW_VERBS),
	IN_PATH_ANY_CASE("GET", "/v1/models/<*>/metadata"),
	IN_PATH_ANY_CASE("GET", "/v1/models/<*>/versions/[#]"),
	IN_PATH_ANY_CASE("GET", "/v1/models/<*>/versions/[#]/metadata"),
	IN_PATH_ANY_CASE("GET", "/v1/models/<*>/labels/{*}"),
	IN_PATH_ANY_CASE("GET", "/v1/models/<*>/labels/{*}/metadata"),

	/* TorchServe, SageMaker's multi-model containers */
	IN_PATH("POST", "/predictions/<*>"),
	IN_PATH("POST", "/predictions/<*>/[*]"),
	IN_PATH("POST", "/explanations/<*>"),
	IN_PATH("POST", "/explanations/<*>/[*]"),
	IN_PATH("POST", "/models/<*>/invoke"),

	/* Gemini and Vertex AI */
	IN_PATH("POST", "/v1/models/<*>:" GOOGLE_VERBS),
	IN_PATH("POST", "/v1beta/models/<*>:" GOOGLE_VERBS),
	IN_PATH("POST", "/v1beta/<tunedModels/*>:" GOOGLE_VERBS),
	IN_PATH("POST", "/v1/projects/*/locations/*/publishers/*/models/<*>:" GOOGLE_VERBS),
	IN_PATH("POST", "/v1/projects/*/locations/*/endpoints/<*>:" GOOGLE_VERBS),

	/* Azure OpenAI, Bedrock */
	IN_PATH("POST", "/openai/deployments/<*>/"
			"(chat/completions|completions|embeddings|responses|audio/transcriptions|"
			"audio/translations|audio/speech|images/generations|images/edits)"),
	IN_PATH("POST", "/model/<*>/(invoke|invoke-with-response-stream|converse|converse-stream)"),

	/* OpenAI and SGLang: one model, or all */
	{"GET", "/v1/models", MODEL_PLACE_MODELS},
	IN_PATH("GET", "/v1/models/<**>"),

	/* gRPC; the numbers are those of the fields around the name */
	IN_PROTO(KSERVE "ModelInfer", 1),
	IN_PROTO(KSERVE "ModelStreamInfer", 1),
	IN_PROTO(KSERVE "ModelReady", 1),
	IN_PROTO(KSERVE "ModelMetadata", 1),
	IN_PROTO(KSERVE "ModelConfig", 1),
	IN_PROTO(TENSORFLOW "PredictionService/Predict", 1, 1),
	IN_PROTO(TENSORFLOW "PredictionService/Classify", 1, 1),
	IN_PROTO(TENSORFLOW "PredictionService/Regress", 1, 1),
	IN_PROTO(TENSORFLOW "PredictionService/GetModelMetadata", 1, 1),
	IN_PROTO(TENSORFLOW "ModelService/GetModelStatus", 1, 1),
	IN_PROTO(TORCHSERVE "inference.InferenceAPIsService/Predictions", 1),
	IN_PROTO(TORCHSERVE "inference.InferenceAPIsService/StreamPredictions", 1),
	/* an HttpBody whose data is OpenAI's JSON */
	IN_PROTO_JSON("/google.cloud.aiplatform.v1beta1.PredictionService/ChatCompletions", 2, 2),

	/* OpenAI, Anthropic, Cohere and Jina, behind any prefix */
	IN_BODY_ANYWHERE("/v1/chat/completions"),
	IN_BODY_ANYWHERE("/v1/completions"),
	IN_BODY_ANYWHERE("/v1/embeddings"),
	IN_BODY_ANYWHERE("/v1/responses"),
	IN_BODY_ANYWHERE("/v1/messages"),
	IN_BODY_ANYWHERE("/v1/messages/count_tokens"),
	IN_BODY_ANYWHERE("/v1/rerank"),
	IN_BODY_ANYWHERE("/v1/reranking"),
	IN_BODY_ANYWHERE("/v1/score"),
	IN_BODY_ANYWHERE("/v1/moderations"),
	IN_BODY_ANYWHERE("/v1/images/generations"),
	IN_BODY_ANYWHERE("/v1/audio/speech"),
	IN_BODY_ANYWHERE("/v1/conversations"),
	IN_BODY_ANYWHERE("/v1/chat/completions/render"),
	IN_BODY_ANYWHERE("/openapi/chat/completions"),
	IN_FORM_ANYWHERE("/v1/audio/transcriptions"),
	IN_FORM_ANYWHERE("/v1/audio/translations"),
	IN_FORM_ANYWHERE("/v1/images/edits"),
	IN_FORM_ANYWHERE("/v1/images/variations"),

	/* vLLM, SageMaker, Ollama, llama.cpp */
	IN_BODY("/v2/rerank"),
	IN_BODY("/rerank"),
	IN_BODY("/score"),
	IN_BODY("/tokenize"),
	IN_BODY("/detokenize"),
	IN_BODY("/pooling"),
	IN_BODY("/classify"),
	IN_BODY("/inference/v1/generate"),
	IN_BODY("/invocations"),
	IN_BODY("/api/chat"),
	IN_BODY("/api/generate"),
	IN_BODY("/api/embed"),
	IN_BODY("/api/embeddings"),
	IN_BODY("/api/show"),
	IN_BODY("/completion"),
	IN_BODY("/infill"),
};

const size_t path_table_count = ARRAY_SIZE(path_table);

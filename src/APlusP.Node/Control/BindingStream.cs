using System.Buffers;
using System.Text.Json;
using APlusP.Core;
using APlusP.Node.Daemons;

namespace APlusP.Node.Control;

/// <summary>Requests about bindings as lines of JSON, answered in lines of JSON.</summary>
sealed class BindingStream(LiveBindings bindings) : ILineStream
{
    public void Answer(ReadOnlySpan<byte> line, IBufferWriter<byte> answers)
    {
        using var writer = new Utf8JsonWriter(answers);
        Write(AnswerTo(line));

        BindingAnswer AnswerTo(ReadOnlySpan<byte> text)
        {
            try
            {
                BindingRequest request = JsonSerializer.Deserialize(text, BindingJson.Default.BindingRequest) ?? new BindingRequest();
                return bindings.Answer(request, Write);
            }
            catch (JsonException fault)
            {
                return new BindingAnswer { Code = ErrorCodes.BadBindingRequest, Message = $"this line is not a request about a binding: {fault.Message} Write one JSON object a line, such as {{\"op\":\"remove\",\"softwire\":\"2001:db8:1::1\"}}." };
            }
            catch (APlusPException error)
            {
                return new BindingAnswer { Code = error.Code, Message = error.Message };
            }
        }

        void Write(BindingAnswer answer)
        {
            JsonSerializer.Serialize(writer, answer, BindingJson.Default.BindingAnswer);
            writer.Flush();
            writer.Reset();
            answers.Write("\n"u8);
        }
    }
}

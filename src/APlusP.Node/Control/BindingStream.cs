using System.Buffers;
using System.Text.Json;
using APlusP.Core;
using APlusP.Node.Daemons;

namespace APlusP.Node.Control;

/// <summary>Requests about bindings as lines of JSON, answered in lines of JSON.</summary>
sealed class BindingStream(LiveBindings bindings) : ILineStream
{
    public void Answer(ReadOnlySpan<byte> line, IBufferWriter<byte> answers) => Write(AnswerTo(line, answers), answers);

    BindingAnswer AnswerTo(ReadOnlySpan<byte> line, IBufferWriter<byte> answers)
    {
        try
        {
            BindingRequest request = JsonSerializer.Deserialize(line, BindingJson.Default.BindingRequest) ?? new BindingRequest();
            return bindings.Answer(request, entry => Write(entry, answers));
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

    public void AnswerTooLong(IBufferWriter<byte> answers) => Write(
        new BindingAnswer { Code = ErrorCodes.BadBindingRequest, Message = $"this line is longer than {LineServer.LongestLine} octets, which no request is. The connection ends here." }, answers);

    static void Write(BindingAnswer answer, IBufferWriter<byte> answers)
    {
        using (var writer = new Utf8JsonWriter(answers)) JsonSerializer.Serialize(writer, answer, BindingJson.Default.BindingAnswer);
        answers.Write("\n"u8);
    }
}

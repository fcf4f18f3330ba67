using System.Globalization;
using System.Text;
using Nubabel.Store;

namespace Nubabel.Api.Host.Mail;

/// <summary>Takes a message out of this process.</summary>
public interface ICarrier
{
    /// <exception cref="NotCarried">It was not taken.</exception>
    Task Carry(Mime message, string subject, CancellationToken ct);
}

/// <summary>A message was not taken.</summary>
/// <param name="reason">For the log: no address and nothing that a server said, which may repeat one.</param>
/// <param name="forGood">Another attempt would end the same way.</param>
public sealed class NotCarried(string reason, bool forGood = false, Exception? inner = null) : Exception(reason, inner)
{
    public bool ForGood => forGood;

    /// <summary>The code that the mail server answered with; null where the reason is another.</summary>
    public int? Answer { get; init; }

    /// <summary>It is this recipient who was refused: the mail server works, and takes letters to others.</summary>
    public bool IsOfRecipient { get; init; }
}

/// <summary>Writes messages to files that only this process's user may read: for a developer, and for tests.</summary>
public sealed class FileCarrier(string directory, TimeProvider time) : ICarrier
{
    /// <summary>As much of a subject as helps to find the file.</summary>
    private const int NameLength = 40;

    public async Task Carry(Mime message, string subject, CancellationToken ct)
    {
        var name = new StringBuilder(NameLength);
        foreach (var c in subject)
            if (name.Length < NameLength && char.IsAsciiLetterOrDigit(c)) name.Append(char.ToLowerInvariant(c));
            else if (name.Length is > 0 and < NameLength && name[^1] != '-') name.Append('-');
        var path = Path.Combine(directory, $"{time.GetUtcNow().ToString("yyyyMMdd-HHmmss.fff", CultureInfo.InvariantCulture)}-{name.ToString().Trim('-')}-{message.Id[^6..]}.eml");
        // Renamed when it is whole, so that who watches the directory never reads half a message. Fresh each time: an attempt may have ended in the middle.
        var unfinished = Path.Combine(directory, $".{Path.GetRandomFileName()}");
        try
        {
            await using (var file = PrivateFile.Create(unfinished)) await file.WriteAsync(message.Bytes, ct);
            File.Move(unfinished, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NotCarried("The file could not be written.", inner: e);
        }
    }
}

/// <summary>Outside Development without a mail server: nothing is carried.</summary>
public sealed class NoCarrier : ICarrier
{
    public Task Carry(Mime message, string subject, CancellationToken ct) => throw new NotCarried("Mail__Host is not set.", forGood: true);
}

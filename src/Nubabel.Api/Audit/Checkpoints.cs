namespace Nubabel.Api.Audit;

/// <summary>
/// Writes each signed checkpoint to the log, which in production leaves this machine: a copy that nobody can change who can change the database.
/// </summary>
internal static partial class Checkpoints
{
    public static Action<string> Log(ILoggerFactory factory)
    {
        var log = factory.CreateLogger("Nubabel.Audit");
        return statement => Signed(log, statement);
    }

    [LoggerMessage(1, LogLevel.Information, "Audit checkpoint {Checkpoint}")]
    private static partial void Signed(ILogger log, string checkpoint);
}

namespace Nubabel.Store;

public sealed partial class ErasureLedger
{
    /// <summary>As much as an entry may need: where there is no room, an empty file can still be made.</summary>
    private const int ProbeBytes = 16 * 1024;

    /// <summary>Makes sure that an entry could be written now, by a file that is made and deleted again, and that the file of this process is as it has left it.</summary>
    /// <returns>False where an entry is just being written, which tells by itself.</returns>
    /// <exception cref="LedgerFault">None could be written.</exception>
    public bool Probe()
    {
        if (!turn.Wait(0)) return false;
        try
        {
            IsThere();
            if (name.Length > 0) Again().Dispose();
            var path = Path.Combine(directory, $".{Guid.CreateVersion7():D}.tmp");
            try
            {
                using var file = PrivateFile.Create(path, buffer: 0);
                file.Write(new byte[ProbeBytes]);
                file.Flush(flushToDisk: true);
            }
            finally
            {
                File.Delete(path);
            }
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LedgerFault($"The ledger of erasures in {directory} cannot be written: {e.Message}", e);
        }
        finally
        {
            turn.Release();
        }
    }
}
